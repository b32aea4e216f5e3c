"""Where a phone says that it is to be found, and it is nowhere."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import A, B, Lines, leg
from .peer import DESCRIPTION, Peer, playing
from .phones import RINGS

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NOWHERE = ["*", "<sip:127.0.0.1:port>", "<tel:+442079460000>"]


@pytest.mark.parametrize("contact", NOWHERE)
def test_a_phone_that_is_nowhere_is_spoken_to_where_it_was_rung(lines: Lines, contact: str) -> None:
    """Its answer, its answer to a re-INVITE and its own re-INVITE are as those of any other."""

    def caller(peer: Peer) -> None:
        peer.contact = contact
        peer.answers(invite := peer.gets("INVITE"), "180 Ringing")
        peer.answers(invite, "200 OK", DESCRIPTION)
        peer.gets("ACK")
        peer.answers(peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        peer.answers(peer.gets("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.contact = contact
        peer.answers(invite := peer.gets("INVITE"), "200 OK", DESCRIPTION)
        peer.gets("ACK")
        peer.requests("UPDATE", invite, 2)
        peer.gets("SIP/2.0 200")
        peer.requests("BYE", invite, 3)
        peer.gets("SIP/2.0 200")

    call = lines.between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_a_redirection_to_nowhere_is_a_refusal(lines: Lines) -> None:
    def caller(peer: Peer) -> None:
        peer.contact = "*"
        peer.answers(peer.gets("INVITE"), "302 Moved Temporarily")
        peer.gets("ACK")

    with playing(caller) as (port, a):
        lines.gateway(A, port)
        lines.phone(B, RINGS)
        call = lines.place()
        a.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == 302
