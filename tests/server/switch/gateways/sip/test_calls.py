"""Calls between SIPp phones, from the queued row to the last: what the phones see, and what the
rows say.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.models import Call
from django_poketalk.server.switch.calls.runner import CallRunner
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip.call import SipCall
from django_poketalk.server.switch.gateways.sip.user_agent import UserAgent
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import closing, ended, serve

from . import phones
from .conftest import A, B, Lines, leg
from .phones import Step

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_two_phones_are_connected_and_put_down_at_the_limit(lines: Lines) -> None:
    a = lines.phone(A, [phones.invited(offer="m=audio 9 RTP"), *phones.ANSWERS_AS_A[1:]])
    b = lines.phone(B, phones.ANSWERS_AS_B)

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause, call.duration) == (8, Cause.MAX_DURATION, 2)
    assert 'Reason: SIP; cause=200; text="max_duration"' in a.messages()
    for side in Side:
        row = leg(call, side)
        assert row.ringing_at is not None
        assert row.answered_at is not None
        assert row.dialog == ""  # it is over


def test_each_phone_gets_the_other_ones_media_and_an_origin_of_its_dialogs_own(
    lines: Lines,
) -> None:
    b = lines.phone(B, phones.ANSWERS_AS_B)
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            phones.gets("INVITE", body=f"m=audio {b.port + 10_000} RTP/AVP 8 0"),
            phones.responds("200 OK", phones.sdp(2, formats="8")),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert f"m=audio {a.port + 10_000} RTP/AVP 8\n" in b.messages()  # in the ACK
    origins = [line for line in a.messages().splitlines() if line.startswith("o=- ")]
    sessions = {origin.split()[1] for origin in origins}
    versions = [int(origin.split()[2]) for origin in origins]
    assert len(sessions) == 1
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("status", "cause", "q850"),
    [
        ("486 Busy Here", Cause.BUSY, 17),
        ("600 Busy Everywhere", Cause.BUSY, 17),
        ("603 Decline", Cause.DECLINED, 21),
        ("404 Not Found", Cause.UNALLOCATED, 1),
        ("484 Address Incomplete", Cause.UNALLOCATED, 28),
        ("480 Temporarily Unavailable", Cause.NO_ANSWER, 18),
    ],
)
def test_a_refusal_ends_the_call_with_its_cause(
    lines: Lines, status: str, cause: Cause, q850: int
) -> None:
    a = lines.phone(A, phones.refuses(status))
    spare = lines.phone(A, phones.ANSWERS_AS_A)  # never to be tried

    call = lines.place()

    assert a.result() == ""
    assert spare.messages() == ""
    assert (call.status, call.hangup_cause, call.duration, call.cost) == (2, cause, 0, 0)
    row = leg(call, Side.A)
    assert (row.sip_status, row.q850) == (int(status[:3]), q850)


def test_a_busy_callee_puts_the_caller_down(lines: Lines) -> None:
    a = lines.phone(A, [*phones.PICKED_UP, *phones.PUT_DOWN])
    b = lines.phone(B, phones.refuses("486 Busy Here"))

    call = lines.place()

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (6, Cause.BUSY)
    assert leg(call, Side.A).hangup_cause == Cause.OTHER_LEG


def test_the_network_s_own_cause_is_kept(lines: Lines) -> None:
    reason = 'Reason: Q.850;cause=34;text="No circuit"'
    lines.phone(A, phones.refuses("480 Temporarily Unavailable", headers=(reason,)))

    call = lines.place()

    assert leg(call, Side.A).q850 == 34


@pytest.mark.parametrize("cause", [-5, 0, 128, 99999])
def test_a_cause_that_q_850_does_not_have_is_passed_over(lines: Lines, cause: int) -> None:
    """No row has room for it: the call would be lost with its row."""
    reason = f"Reason: Q.850;cause={cause}"
    lines.phone(A, phones.refuses("480 Temporarily Unavailable", headers=(reason,)))

    call = lines.place()

    assert (call.status, call.hangup_cause) == (2, Cause.NO_ANSWER)
    assert leg(call, Side.A).q850 == 18


def test_a_cancelled_phone_may_take_its_time_for_the_last_response(lines: Lines) -> None:
    gets_cancel, ok, terminated, gets_ack = phones.CANCELLED
    slow = [*phones.RINGS, gets_cancel, ok, phones.pauses(700), terminated, gets_ack]
    a = lines.phone(A, slow, ring_timeout=1)

    lines.place(max_duration=30)

    assert a.result() == ""


@pytest.mark.parametrize("side", list(Side))
def test_a_phone_that_is_not_answered_is_cancelled(lines: Lines, side: Side) -> None:
    rings = [*phones.RINGS, *phones.CANCELLED]
    if side is Side.A:
        a = lines.phone(A, rings, ring_timeout=1)
        b = None
    else:
        a = lines.phone(A, [*phones.PICKED_UP, *phones.PUT_DOWN])
        b = lines.phone(B, rings, ring_timeout=1)

    call = lines.place(max_duration=30)

    assert a.result() == ""
    assert b is None or b.result() == ""
    assert (call.status, call.hangup_cause) == (2 if side is Side.A else 6, Cause.NO_ANSWER)


def test_the_caller_who_gives_up_while_b_rings_silences_b(lines: Lines) -> None:
    leaves = [*phones.PICKED_UP, phones.pauses(600), phones.sends("BYE", 2)]
    a = lines.phone(A, [*leaves, phones.gets_response(200)])
    b = lines.phone(B, [*phones.RINGS, *phones.CANCELLED])

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)


@pytest.mark.parametrize("side", list(Side))
def test_whoever_hangs_up_ends_the_call_for_both(lines: Lines, side: Side) -> None:
    hangs_up = [phones.pauses(500), phones.sends("BYE", 2), phones.gets_response(200)]
    a_end, b_end = (hangs_up, phones.PUT_DOWN) if side is Side.A else (phones.PUT_DOWN, hangs_up)
    a = lines.phone(A, [*phones.PICKED_UP, *phones.JOINED_AS_A, *a_end])
    b = lines.phone(B, [*phones.PICKED_UP, *b_end])

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    assert leg(call, side).q850 == 16


def test_hold_reaches_the_other_phone(lines: Lines) -> None:
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            *phones.JOINED_AS_A,
            phones.gets("INVITE", body="a=sendonly"),
            phones.responds("200 OK", phones.sdp(4, "a=recvonly")),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )
    b = lines.phone(B, [*phones.PICKED_UP, *phones.holds(200), *phones.PUT_DOWN])

    call = lines.place(max_duration=3)

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.MAX_DURATION
    assert "a=recvonly" in b.messages()


@pytest.mark.parametrize(
    ("body", "status"), [("", 200), (phones.sdp(3), 488)], ids=["refresh", "offer"]
)
def test_update_is_answered(lines: Lines, body: str, status: int) -> None:
    updates = [
        phones.pauses(400),
        phones.sends("UPDATE", 2, body),
        phones.gets_response(status),
    ]
    a = lines.phone(A, phones.ANSWERS_AS_A)
    b = lines.phone(B, [*phones.PICKED_UP, *updates, *phones.PUT_DOWN])

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_refresh_without_an_offer_gets_ours(lines: Lines) -> None:
    refreshes = [
        phones.pauses(400),
        phones.sends("INVITE", 2),
        phones.gets_response(200),
        phones.sends("ACK", 2, phones.sdp(3), retry=False),
    ]
    a = lines.phone(
        A,
        [
            *phones.PICKED_UP,
            *phones.JOINED_AS_A,
            phones.gets("INVITE"),
            phones.responds("200 OK", phones.sdp(5)),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
    )
    b = lines.phone(B, [*phones.PICKED_UP, *refreshes, *phones.PUT_DOWN])

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_phone_that_refuses_the_re_invite_ends_the_call(lines: Lines) -> None:
    refuses = [
        phones.gets("INVITE"),
        phones.responds("488 Not Acceptable Here"),
        phones.gets("ACK"),
    ]
    a = lines.phone(A, [*phones.PICKED_UP, *refuses, *phones.PUT_DOWN])
    b = lines.phone(B, phones.ANSWERS_AS_B)

    call = lines.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == 488


def test_with_a_late_offer_leg_a_is_never_re_invited(lines: Lines) -> None:
    a = lines.phone(A, phones.ANSWERS_AS_B, late_offer=True)
    b = lines.phone(B, [phones.invited(offer="m=audio"), *phones.ANSWERS_AS_B[1:]])

    lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_early_media_is_given_to_the_caller(lines: Lines) -> None:
    """B is to send to A at once, though A's phone has said that it is silent, as it was asked."""
    picks_up = [*phones.RINGS, phones.answered_with("200 OK", phones.sdp(1, "a=inactive"))]
    a = lines.phone(A, [*picks_up, phones.gets("ACK"), *phones.JOINED_AS_A, *phones.PUT_DOWN])
    b = lines.phone(
        B,
        [
            phones.invited(offer=f"m=audio {a.port + 10_000}"),
            phones.answered_with("183 Session Progress", phones.sdp()),
            phones.pauses(700),
            phones.answered_with("200 OK", phones.sdp()),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
        early_media=True,
    )

    call = lines.place(max_duration=3)

    assert (a.result(), b.result()) == ("", "")
    assert call.status == 8
    assert "a=inactive" not in b.messages()


def test_with_a_late_offer_there_is_no_early_media(lines: Lines) -> None:
    """It could only be given in the one answer that A's phone gets, B's."""
    a = lines.phone(A, phones.ANSWERS_AS_B, late_offer=True)
    b = lines.phone(
        B,
        [
            phones.invited(offer="m=audio"),
            phones.answered_with("183 Session Progress", phones.sdp()),
            phones.pauses(300),
            phones.answered_with("200 OK", phones.sdp()),
            phones.gets("ACK"),
            *phones.PUT_DOWN,
        ],
        early_media=True,
    )

    call = lines.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_hang_up_from_outside_while_a_rings(lines: Lines) -> None:
    call = lines.queue(max_duration=30)
    a = lines.phone(A, [*phones.RINGS, *phones.CANCELLED])

    _hang_up_in(call, seconds=1.0)

    assert a.result() == ""
    assert (call.status, call.hangup_cause) == (2, Cause.HANG_UP_REQUESTED)


def test_a_200_that_crosses_the_cancel_is_answered_with_bye(lines: Lines) -> None:
    late: list[Step] = [
        phones.invited(),
        phones.pauses(1500),
        phones.answered_with("200 OK", phones.sdp()),
        phones.gets("ACK"),
        *phones.PUT_DOWN,
    ]
    call = lines.queue(max_duration=30)
    a = lines.phone(A, late)

    _hang_up_in(call, seconds=0.5)

    assert a.result() == ""
    assert (call.status, call.cost) == (2, 0)


def _hang_up_in(call: Call, seconds: float) -> None:
    async def later() -> None:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(closing, lambda: call.request_hang_up(timezone.now()))

    serve(Engine("test"), until=ended(call), during=later)
    call.refresh_from_db()


def test_nothing_of_a_call_is_left_for_a_search_for_garbage(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a search stops all calls, with ten thousand of them for most of a second."""
    monkeypatch.setattr(UserAgent, "godead_timeout", 0.2)  # seconds, of 32
    born: list[weakref.ref[object]] = []
    for kind in (CallRunner, SipCall):

        def noted(self: object, *args: object, init: Any = kind.__init__) -> None:
            born.append(weakref.ref(self))
            init(self, *args)

        monkeypatch.setattr(kind, "__init__", noted)
    lines.phone(A, phones.ANSWERS_AS_A)
    lines.phone(B, phones.ANSWERS_AS_B)
    call = lines.queue(max_duration=1)
    gc.collect()
    gc.disable()
    try:
        serve(Engine("test"), until=lambda: ended(call)() and not any(each() for each in born))
    finally:
        gc.enable()
    assert len(born) == 2
