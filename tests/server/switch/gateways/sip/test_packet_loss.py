"""Messages that are lost and retransmitted, and messages that cross on the network."""

from __future__ import annotations

import threading

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .conftest import SipService
from .peer import SDP, Peer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def receive_retransmitted(peer: Peer, method: str) -> str:
    """Return a request whose first copy is treated as lost."""
    lost = peer.receive(method)
    retransmitted = peer.receive(method)
    assert retransmitted == lost
    return retransmitted


def answer_with_lost_acks(peer: Peer, request: str) -> str:
    """Send a 200 OK whose first ACKs are treated as lost. Return the ACK, which never changes."""
    peer.respond(request, "200 OK", SDP)
    ack = peer.receive("ACK")
    for _ in range(2):
        peer.respond(request, "200 OK", SDP)
        assert peer.receive("ACK") == ack
    return ack


def test_a_call_survives_packet_loss_at_every_step(service: SipService) -> None:
    def caller(peer: Peer) -> None:
        peer.respond(invite := receive_retransmitted(peer, "INVITE"), "180 Ringing")
        answer_with_lost_acks(peer, invite)
        answer_with_lost_acks(peer, receive_retransmitted(peer, "INVITE"))
        a_connected.set()
        peer.respond(receive_retransmitted(peer, "BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        invite = receive_retransmitted(peer, "INVITE")
        peer.respond(invite, "200 OK", SDP)  # a first time, before an ACK is possible
        assert "m=audio 4000" in answer_with_lost_acks(peer, invite)
        assert a_connected.wait(20)
        peer.send_request("BYE", invite)
        answer = peer.receive("SIP/2.0 200")
        peer.send_request("BYE", invite)
        assert peer.receive("SIP/2.0 200") == answer

    a_connected = threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    assert call.legs.count() == 2


def test_a_200_ok_that_crosses_the_cancel_receives_ack_and_bye(service: SipService) -> None:
    """B answers at the moment when A hangs up and B's INVITE is canceled."""

    def caller(peer: Peer) -> None:
        peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        assert b_ringing.wait(20)
        peer.send_request("BYE", invite)
        peer.receive("SIP/2.0 200")

    def callee(peer: Peer) -> None:
        peer.respond(invite := peer.receive("INVITE"), "180 Ringing")
        b_ringing.set()
        cancel = receive_retransmitted(peer, "CANCEL")
        peer.respond(invite, "200 OK", SDP)
        peer.respond(cancel, "200 OK")
        methods = {peer.receive("").partition(" ")[0] for _ in range(2)}
        assert methods == {"ACK", "BYE"}

    b_ringing = threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)


def test_leg_b_is_canceled_after_its_first_response_if_the_caller_hangs_up_early(
    service: SipService,
) -> None:
    """CANCEL must not be sent before a provisional response (RFC 3261, section 9.1)."""

    def caller(peer: Peer) -> None:
        peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        assert b_invited.wait(20)
        peer.send_request("BYE", invite)
        peer.receive("SIP/2.0 200")
        a_hung_up.set()

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        b_invited.set()
        assert a_hung_up.wait(20)
        assert peer.receive("INVITE") == invite
        peer.respond(invite, "180 Ringing")
        peer.respond(peer.receive("CANCEL", skip=("INVITE",)), "200 OK")
        peer.respond(invite, "487 Request Terminated")
        peer.receive("ACK", skip=("INVITE", "CANCEL"))

    b_invited, a_hung_up = threading.Event(), threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)


@pytest.mark.parametrize("status", ["487 Request Terminated", "200 OK"])
def test_leg_b_hangs_up_while_the_re_invite_of_leg_a_is_pending(
    service: SipService, status: str
) -> None:
    """A receives a BYE, whatever its final response to the re-INVITE is."""

    def caller(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        reinvite = peer.receive("INVITE")
        reinvited.set()
        # No CANCEL: there was no provisional response (RFC 3261, section 9.1).
        peer.respond(peer.receive("BYE", skip=("INVITE",)), "200 OK")
        peer.respond(reinvite, status, SDP if status[0] == "2" else "")
        peer.receive("ACK", skip=("INVITE", "BYE"))

    def callee(peer: Peer) -> None:
        peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
        assert reinvited.wait(20)
        peer.send_request("BYE", invite)
        peer.receive("SIP/2.0 200")

    reinvited = threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_bye_follows_the_ack_of_the_rejected_re_invite(service: SipService) -> None:
    """A's phone no longer knows the dialog when it receives the re-INVITE."""

    def caller(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("INVITE"), "481 Call/Transaction Does Not Exist")
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    call = service.place_between(caller, callee)

    assert call.status == 8
