"""Requests of a peer within a dialog: damaged ones, unknown methods, and unknown dialogs."""

from __future__ import annotations

import re
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


def connect(peer: Peer) -> str:
    """Answer the INVITE. Return it."""
    peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
    peer.receive("ACK")
    return invite


def accept_reinvite_and_bye(peer: Peer) -> None:
    connect(peer)
    connect(peer)
    peer.respond(peer.receive("BYE"), "200 OK")


@pytest.mark.parametrize(
    "headers",
    [
        ("X-Broken",),
        ("X-Broken", " and its next line"),
        ("Also: *", "Reason: nonsense", "Expires: never", "Max-Forwards: many", "Contact: *"),
    ],
)
def test_a_header_line_that_cannot_be_read_does_not_cost_the_bye(
    service: SipService, headers: tuple[str, ...]
) -> None:
    def callee(peer: Peer) -> None:
        invite = connect(peer)
        peer.send_request("BYE", invite, headers=headers)
        peer.receive("SIP/2.0 200")

    call = service.place_between(accept_reinvite_and_bye, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


@pytest.mark.parametrize("method", ["FOO", "PRACK", "NOTIFY", "MESSAGE", "SUBSCRIBE", "REGISTER"])
def test_a_method_that_is_not_allowed_is_rejected_and_the_call_goes_on(
    service: SipService, method: str
) -> None:
    def callee(peer: Peer) -> None:
        invite = connect(peer)
        peer.send_request(method, invite, 2)
        response = peer.receive("SIP/2.0 405")
        allowed = re.search(r"^Allow: (.*)$", response, re.MULTILINE)
        assert allowed
        assert "INVITE" in allowed[1]
        assert method not in allowed[1]
        peer.send_request("BYE", invite, 3)
        peer.receive("SIP/2.0 200")

    call = service.place_between(accept_reinvite_and_bye, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


@pytest.mark.parametrize(
    ("method", "status"),
    [("OPTIONS", "200"), ("INFO", "200"), ("UPDATE", "200"), ("INVITE", "491"), ("FOO", "405")],
)
def test_requests_are_answered_during_a_re_invite(
    service: SipService, method: str, status: str
) -> None:
    def caller(peer: Peer) -> None:
        invite = connect(peer)
        reinvite = peer.receive("INVITE")
        peer.send_request(method, invite, 2)
        peer.receive(f"SIP/2.0 {status}", skip=("INVITE",))
        peer.respond(reinvite, "200 OK", SDP)
        peer.receive("ACK", skip=("INVITE", "SIP/2.0 491"))
        may_end.set()
        peer.respond(peer.receive("BYE", skip=("SIP/2.0 491",)), "200 OK")

    def callee(peer: Peer) -> None:
        invite = connect(peer)
        assert may_end.wait(20)
        peer.send_request("BYE", invite)
        peer.receive("SIP/2.0 200")

    may_end = threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_a_transfer_during_a_re_invite_ends_the_call(service: SipService) -> None:
    def caller(peer: Peer) -> None:
        invite = connect(peer)
        peer.receive("INVITE")
        peer.send_request("REFER", invite, headers=("Refer-To: <sip:3@127.0.0.1>",))
        peer.receive("SIP/2.0 202", skip=("INVITE",))
        peer.respond(peer.receive("BYE", skip=("INVITE", "CANCEL")), "200 OK")

    def callee(peer: Peer) -> None:
        connect(peer)
        peer.respond(peer.receive("BYE"), "200 OK")

    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


@pytest.mark.parametrize("method", ["BYE", "INFO", "OPTIONS", "INVITE", "UPDATE", "FOO"])
def test_a_request_of_an_unknown_dialog_is_answered_with_481(
    service: SipService, method: str
) -> None:
    """Another Call-ID, or another tag of ours."""

    def callee(peer: Peer) -> None:
        invite = connect(peer)
        for cseq, unknown in enumerate((r"^Call-ID: .", r"^From: .*;tag="), 10):
            other = re.sub(unknown, lambda found: f"{found[0]}x", invite, flags=re.MULTILINE)
            peer.send_request(method, other, cseq)
            peer.receive("SIP/2.0 481")
            peer.send_request("ACK", other, cseq)
        peer.send_request("BYE", invite, 2)
        peer.receive("SIP/2.0 200", skip=("SIP/2.0 481",))

    call = service.place_between(accept_reinvite_and_bye, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_requests_after_our_bye_are_answered(service: SipService) -> None:
    """Both may hang up at the same time."""

    def callee(peer: Peer) -> None:
        invite = connect(peer)
        bye = peer.receive("BYE")
        peer.send_request("INFO", invite, 2)
        peer.receive("SIP/2.0 481", skip=("BYE",))
        peer.send_request("BYE", invite, 3)
        peer.receive("SIP/2.0 200", skip=("BYE",))
        peer.respond(bye, "200 OK")

    call = service.place_between(accept_reinvite_and_bye, callee, max_duration=1)

    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
