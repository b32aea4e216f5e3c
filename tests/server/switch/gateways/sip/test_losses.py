"""UDP loses messages, and who misses an answer says the same again; and messages cross."""

from __future__ import annotations

import threading

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .conftest import Lines
from .peer import DESCRIPTION, Peer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def asked_twice(peer: Peer, method: str) -> str:
    """A request whose first copy is lost."""
    lost = peer.gets(method)
    found = peer.gets(method)
    assert found == lost
    return found


def answers_until_heard(peer: Peer, request: str) -> str:
    """A 200 whose first ACKs are lost: the ACK, which is the same each time."""
    peer.answers(request, "200 OK", DESCRIPTION)
    ack = peer.gets("ACK")
    for _ in range(2):
        peer.answers(request, "200 OK", DESCRIPTION)
        assert peer.gets("ACK") == ack
    return ack


def test_a_call_lives_through_losses_at_every_step(lines: Lines) -> None:
    def caller(peer: Peer) -> None:
        peer.answers(invite := asked_twice(peer, "INVITE"), "180 Ringing")
        answers_until_heard(peer, invite)
        answers_until_heard(peer, asked_twice(peer, "INVITE"))
        joined.set()
        peer.answers(asked_twice(peer, "BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        invite = asked_twice(peer, "INVITE")
        peer.answers(invite, "200 OK", DESCRIPTION)  # twice, before there can be an ACK
        assert "m=audio 4000" in answers_until_heard(peer, invite)
        assert joined.wait(20)
        peer.requests("BYE", invite)
        answer = peer.gets("SIP/2.0 200")
        peer.requests("BYE", invite)
        assert peer.gets("SIP/2.0 200") == answer

    joined = threading.Event()
    call = lines.between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    assert call.legs.count() == 2


def test_a_cancel_that_crosses_a_200_ends_in_ack_and_bye(lines: Lines) -> None:
    """B picks up in the moment in which it is cancelled because A has left."""

    def caller(peer: Peer) -> None:
        peer.answers(invite := peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        assert rings.wait(20)
        peer.requests("BYE", invite)
        peer.gets("SIP/2.0 200")

    def callee(peer: Peer) -> None:
        peer.answers(invite := peer.gets("INVITE"), "180 Ringing")
        rings.set()
        cancel = asked_twice(peer, "CANCEL")
        peer.answers(invite, "200 OK", DESCRIPTION)
        peer.answers(cancel, "200 OK")
        got = {peer.gets("").partition(" ")[0] for _ in range(2)}
        assert got == {"ACK", "BYE"}

    rings = threading.Event()
    call = lines.between(caller, callee)

    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)


def test_the_caller_leaves_before_leg_b_has_said_anything(lines: Lines) -> None:
    """There is nothing that may be cancelled before a first response; then there is."""

    def caller(peer: Peer) -> None:
        peer.answers(invite := peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        assert asked.wait(20)
        peer.requests("BYE", invite)
        peer.gets("SIP/2.0 200")
        left.set()

    def callee(peer: Peer) -> None:
        invite = peer.gets("INVITE")
        asked.set()
        assert left.wait(20)
        assert peer.gets("INVITE") == invite
        peer.answers(invite, "180 Ringing")
        peer.answers(peer.gets("CANCEL", past=("INVITE",)), "200 OK")
        peer.answers(invite, "487 Request Terminated")
        peer.gets("ACK", past=("INVITE", "CANCEL"))

    asked, left = threading.Event(), threading.Event()
    call = lines.between(caller, callee)

    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)


@pytest.mark.parametrize("status", ["487 Request Terminated", "200 OK"])
def test_leg_b_leaves_before_leg_a_has_taken_its_offer(lines: Lines, status: str) -> None:
    """A is put down though its re-INVITE is on its way; how it answers that does not matter."""

    def caller(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        reinvite = peer.gets("INVITE")
        joining.set()
        # Without a provisional answer there is nothing that may be cancelled (RFC 3261, 9.1).
        peer.answers(peer.gets("BYE", past=("INVITE",)), "200 OK")
        peer.answers(reinvite, status, DESCRIPTION if status[0] == "2" else "")
        peer.gets("ACK", past=("INVITE", "BYE"))

    def callee(peer: Peer) -> None:
        peer.answers(invite := peer.gets("INVITE"), "200 OK", DESCRIPTION)
        assert joining.wait(20)
        peer.requests("BYE", invite)
        peer.gets("SIP/2.0 200")

    joining = threading.Event()
    call = lines.between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_bye_follows_the_ack_of_the_answer_that_caused_it(lines: Lines) -> None:
    """A's phone knows nothing of the dialog any more when it is to be joined."""

    def caller(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        peer.answers(peer.gets("INVITE"), "481 Call/Transaction Does Not Exist")
        peer.gets("ACK")
        peer.answers(peer.gets("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        peer.answers(peer.gets("BYE"), "200 OK")

    call = lines.between(caller, callee)

    assert call.status == 8
