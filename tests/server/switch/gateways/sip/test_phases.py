"""Calls that end in each of their phases, by either phone or by the customer's 412; and what phones
ask for while they talk.
"""

from __future__ import annotations

import time

import pytest

from django_poketalk.server.switch.gateways.sip.call import SipCall
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.customer import Customer, EventQuery

from . import phones
from .conftest import A, B, Lines, leg
from .phones import Step

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RINGS_UNTIL_CANCELLED = [*phones.RINGS, *phones.CANCELLED]
LEAVES: list[Step] = [phones.sends("BYE", 2), phones.gets_response(200)]


@pytest.mark.parametrize(
    ("status", "a_does", "b_does", "final"),
    [
        (1, RINGS_UNTIL_CANCELLED, None, 2),
        (3, [*phones.PICKED_UP, *phones.PUT_DOWN], RINGS_UNTIL_CANCELLED, 4),
        (5, [*phones.PICKED_UP, *phones.PUT_DOWN], RINGS_UNTIL_CANCELLED, 4),
        (7, phones.ANSWERS_AS_A, phones.ANSWERS_AS_B, 8),
    ],
)
def test_412_ends_the_call_in_each_phase(
    lines: Lines, status: int, a_does: list[Step], b_does: list[Step] | None, final: int
) -> None:
    a = lines.phone(A, a_does)
    b = lines.phone(B, b_does) if b_does else None

    def vetoes(event: EventQuery) -> bool:
        time.sleep(0.7)  # so that the phone has been rung
        return int(event["status"]) >= status

    with Customer(vetoes) as customer:
        call = lines.place(max_duration=30, eventurl=customer.eventurl)

    assert a.result() == ""
    assert b is None or b.result() == ""
    assert (call.status, call.hangup_cause) == (final, Cause.VETOED)
    assert customer.statuses()[-1] == final


def test_leg_a_leaves_while_its_re_invite_is_on_its_way(lines: Lines) -> None:
    """B has answered, and its ACK is still due: it gets an answer, and then BYE."""
    a = lines.phone(A, [*phones.PICKED_UP, phones.gets("INVITE"), *LEAVES])
    b = lines.phone(B, [*phones.RINGS, phones.answered_with("200 OK", phones.sdp()), *_ACK_BYE])

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.NORMAL
    assert "m=audio 9 RTP/AVP" in b.messages()
    assert "a=inactive" in b.messages()


_ACK_BYE: list[Step] = [phones.gets("ACK", body="m=audio 9 RTP/AVP"), *phones.PUT_DOWN]


def test_a_phone_that_is_busy_asking_itself_is_asked_again(lines: Lines) -> None:
    pending = [phones.gets("INVITE"), phones.responds("491 Request Pending"), phones.gets("ACK")]
    a = lines.phone(A, [*phones.PICKED_UP, *pending, *phones.JOINED_AS_A, *phones.PUT_DOWN])
    b = lines.phone(B, [*phones.PICKED_UP, *LEAVES])

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_what_is_dialed_while_they_talk_is_passed_on(lines: Lines) -> None:
    """By INFO, as some phones send the digits that are pressed."""
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            *phones.JOINED_AS_A,
            phones.gets("INFO", body="Signal=7"),
            phones.responds("200 OK"),
            *phones.PUT_DOWN,
        ],
    )
    presses = phones.sends("INFO", 2, "Signal=7\nDuration=160")
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            phones.pauses(400),
            presses.replace("application/sdp", "application/dtmf-relay"),
            phones.gets_response(200),
            *phones.PUT_DOWN,
        ],
    )

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert "application/dtmf-relay" in a.messages()


def test_what_we_do_not_know_is_answered_so(lines: Lines) -> None:
    a = lines.phone(A, phones.ANSWERS_AS_A)
    asks = [phones.pauses(400), phones.sends("MESSAGE", 2), phones.gets_response(501)]
    b = lines.phone(B, [*phones.PICKED_UP, *asks, *phones.PUT_DOWN])

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_with_no_early_media_wanted_183_is_only_heard(lines: Lines) -> None:
    a = lines.phone(A, phones.ANSWERS_AS_A)
    b = lines.phone(
        B,
        [
            phones.invited(),
            phones.answered_with("183 Session Progress", phones.sdp()),
            phones.pauses(300),
            phones.answered_with("200 OK", phones.sdp()),
            phones.gets("ACK", body="m=audio"),
            *phones.PUT_DOWN,
        ],
    )

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert call.status == 8
    assert leg(call, Side.B).ringing_at is not None


def test_hold_by_the_caller_reaches_the_callee(lines: Lines) -> None:
    a = lines.phone(
        A, [*phones.PICKED_UP, *phones.JOINED_AS_A, *phones.holds(200), *phones.PUT_DOWN]
    )
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            phones.gets("INVITE", body="a=sendonly"),
            phones.responds("200 OK", phones.sdp(4, "a=recvonly")),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.MAX_DURATION
    assert "a=recvonly" in a.messages()


def test_a_refresh_with_what_is_agreed_already_bothers_nobody_else(lines: Lines) -> None:
    """As the session timers of RFC 4028 do, by re-INVITE."""
    refreshes = [
        phones.pauses(400),
        phones.sends(
            "INVITE", 2, phones.sdp(), headers=("Session-Expires: 90;refresher=uac", "Min-SE: 90")
        ),
        phones.gets_response(200),
        phones.sends("ACK", 2, retry=False),
    ]
    a = lines.phone(A, phones.ANSWERS_AS_A)
    b = lines.phone(B, [*phones.PICKED_UP, *refreshes, *phones.PUT_DOWN])

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_hold_that_the_other_refuses_changes_nothing(lines: Lines) -> None:
    """488 goes back to who asked; and a second hold, later, still finds what was agreed."""
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            *phones.JOINED_AS_A,
            phones.gets("INVITE", body="a=sendonly"),
            phones.responds("488 Not Acceptable Here"),
            phones.gets("ACK"),
            phones.gets("INVITE", body="a=inactive"),
            phones.responds("200 OK", phones.sdp(5, "a=inactive")),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            *phones.holds(488),
            phones.pauses(200),
            phones.sends("INVITE", 3, phones.sdp(4, "a=inactive")),
            phones.gets_response(200),
            phones.sends("ACK", 3, retry=False),
            *phones.PUT_DOWN,
        ],
    )

    call = lines.place(max_duration=3)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_a_refresh_that_the_other_does_not_follow_ends_nothing(lines: Lines) -> None:
    """B has asked for our offer and answered it; what follows from that for A, A refuses."""
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            *phones.JOINED_AS_A,
            phones.gets("INVITE"),
            phones.responds("488 Not Acceptable Here"),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            phones.pauses(400),
            phones.sends("INVITE", 2),
            phones.gets_response(200),
            phones.sends("ACK", 2, phones.sdp(3), retry=False),
            phones.pauses(700),
            phones.sends("BYE", 3),
            phones.gets_response(200),
        ],
    )

    call = lines.place(max_duration=5)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_a_hold_that_the_other_sends_elsewhere_is_refused(lines: Lines) -> None:
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            *phones.JOINED_AS_A,
            phones.gets("INVITE", body="a=sendonly"),
            phones.responds("302 Moved Temporarily"),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )
    b = lines.phone(
        B,
        [
            *phones.PICKED_UP,
            *phones.holds(302),
            *phones.PUT_DOWN,
        ],
    )

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_leg_b_is_tried_by_another_gateway_too_but_not_once_answered(lines: Lines) -> None:
    a = lines.phone(A, phones.ANSWERS_AS_A)
    down = lines.phone(B, phones.refuses("503 Service Unavailable"), priority=1)
    refuses = [*phones.PICKED_UP, phones.sends("BYE", 2), phones.gets_response(200)]
    up = lines.phone(B, refuses, priority=2)
    spare = lines.phone(B, phones.RINGS, priority=3)

    call = lines.place(max_duration=30)

    assert (a.result(), down.result(), up.result(), spare.messages()) == ("", "", "", "")
    assert leg(call, Side.B).sip_status == 503
    assert [row.answered_at is not None for row in call.legs.filter(side=Side.B)] == [False, True]


def test_an_error_of_ours_puts_both_phones_down(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: object) -> None:
        raise LookupError("on purpose")

    monkeypatch.setattr(SipCall, "_connect_media", fails)
    a = lines.phone(A, phones.ANSWERS_AS_A)
    b = lines.phone(B, phones.ANSWERS_AS_B)

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.SWITCH_ERROR)
    assert "on purpose" in caplog.text


def test_a_name_beyond_ascii_is_passed_on_and_counted_right(lines: Lines) -> None:
    """Content-Length counts bytes; by a few that are missing, sippy would not be put out."""
    described = phones.sdp().replace("s=-", "s=Größenverhältnismäßigkeitsprüfungsschlüsselgerät")
    a = lines.phone(A, phones.ANSWERS_AS_A)
    picks_up = [*phones.RINGS, phones.answered_with("200 OK", described), phones.gets("ACK")]
    b = lines.phone(B, [*picks_up, *phones.PUT_DOWN])

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert call.status == 8
