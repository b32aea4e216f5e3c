"""What comes in the bodies of messages, where it is not just a description."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from . import phones
from .conftest import A, B, Lines, leg
from .peer import DESCRIPTION, Peer, playing

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MIXED = "multipart/mixed;boundary=between"
WITH_ISUP = f"""--between
Content-Type: application/isup;version=itu-t92+

\x01\x11
--between
Content-Type: application/sdp
Content-Disposition: session;handling=required

{DESCRIPTION}
--between--"""


def test_a_description_is_taken_from_among_other_parts(lines: Lines) -> None:
    """As trunks send it that pass ISUP on."""

    def caller(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", WITH_ISUP, kind=MIXED)
        peer.gets("ACK")
        peer.answers(found := peer.gets("INVITE"), "200 OK", WITH_ISUP, kind=MIXED)
        offers.append(found)
        peer.gets("ACK")
        peer.answers(peer.gets("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", WITH_ISUP, kind=MIXED)
        answers.append(peer.gets("ACK"))
        peer.answers(peer.gets("BYE"), "200 OK")

    offers: list[str] = []
    answers: list[str] = []
    call = lines.between(caller, callee, max_duration=2)

    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    for message in (*offers, *answers):
        assert "Content-Type: application/sdp" in message
        assert message.partition("\n\n")[2].startswith("v=0\n")
        assert message.endswith("m=audio 4000 RTP/AVP 8\n")


def test_a_description_is_taken_from_an_ack_too(lines: Lines) -> None:
    """B asks for our offer, and answers that in its ACK."""
    answers = phones.sends("ACK", 2, WITH_ISUP, retry=False).replace("application/sdp", MIXED, 1)
    asks = [phones.pauses(400), phones.sends("INVITE", 2), phones.gets_response(200), answers]
    follows = [phones.gets("INVITE"), phones.responds("200 OK", phones.sdp(5)), phones.gets("ACK")]
    a = lines.phone(A, [*phones.PICKED_UP, *phones.JOINED_AS_A, *follows, *phones.PUT_DOWN])
    b = lines.phone(B, [*phones.PICKED_UP, *asks, *phones.PUT_DOWN])

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert "m=audio 4000 RTP" in a.messages()
    assert "between" not in a.messages()


def test_an_ack_without_an_answer_changes_nothing(lines: Lines) -> None:
    """What B says anew then is what is agreed still, and bothers nobody."""
    asks = [phones.pauses(400), phones.sends("INVITE", 2), phones.gets_response(200)]
    refreshes = [phones.sends("INVITE", 3, phones.sdp()), phones.gets_response(200)]
    silent = phones.sends("ACK", 2, retry=False)
    a = lines.phone(A, phones.ANSWERS_AS_A)
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            *[*asks, silent, phones.pauses(200)],
            *[*refreshes, phones.sends("ACK", 3, retry=False)],
            *phones.PUT_DOWN,
        ],
    )

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_an_answer_that_is_no_description_is_none(lines: Lines) -> None:
    """B is not told of what A's phone would have to say about itself."""

    def caller(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", "Hello.", kind="text/plain")
        peer.gets("ACK")
        peer.answers(peer.gets("BYE"), "200 OK")

    with playing(caller) as (port, a):
        lines.gateway(A, port)
        b = lines.phone(B, phones.RINGS)
        call = lines.place()
        a.result(20)

    assert b.messages() == ""
    assert (leg(call, Side.A).sip_status, call.hangup_cause) == (488, Cause.REJECTED)


def test_a_phone_that_does_not_answer_what_it_is_offered_ends_the_call(lines: Lines) -> None:
    """Else B would wait for its ACK, and pay for silence."""
    silent = [phones.gets("INVITE"), phones.responds("200 OK"), phones.gets("ACK")]
    a = lines.phone(A, [*phones.PICKED_UP, *silent, *phones.PUT_DOWN])
    b = lines.phone(B, phones.ANSWERS_AS_B)

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.REJECTED)


def test_a_hold_that_the_other_does_not_answer_is_refused(lines: Lines) -> None:
    silent = [
        phones.gets("INVITE", body="a=sendonly"),
        phones.responds("200 OK"),
        phones.gets("ACK"),
    ]
    a = lines.phone(A, [*phones.PICKED_UP, *phones.JOINED_AS_A, *silent, *phones.PUT_DOWN])
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            *phones.holds(488),
            *phones.PUT_DOWN,
        ],
    )

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
