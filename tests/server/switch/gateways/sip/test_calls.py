"""Calls between SIPp phones: the messages that the phones receive, and the stored rows."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.models import Call
from django_poketalk.server.switch.calls.runner import CallRunner
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip.call import SipCall
from django_poketalk.server.switch.gateways.sip.user_agent import UserAgent
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import closing, ended, eventually, serve

from . import phones
from .conftest import A, B, SipService, leg
from .phones import Step

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_two_phones_are_connected_and_hung_up_at_the_limit(service: SipService) -> None:
    a = service.phone(
        A, [phones.receive_invite(offer="m=audio 9 RTP"), *phones.CALL_WITH_REINVITE[1:]]
    )
    b = service.phone(B, phones.CALL_WITHOUT_REINVITE)

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause, call.duration) == (8, Cause.MAX_DURATION, 2)
    assert 'Reason: SIP; cause=200; text="max_duration"' in a.messages()
    for side in Side:
        row = leg(call, side)
        assert row.ringing_at is not None
        assert row.answered_at is not None
        assert row.dialog == ""  # the dialog has ended


def test_each_phone_receives_the_media_of_the_other_and_an_origin_of_its_own_session(
    service: SipService,
) -> None:
    b = service.phone(B, phones.CALL_WITHOUT_REINVITE)
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            phones.receive("INVITE", body=f"m=audio {b.port + 10_000} RTP/AVP 8 0"),
            phones.respond("200 OK", phones.sdp(2, formats="8")),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )

    service.place(max_duration=2)

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
def test_a_rejected_invite_ends_the_call_with_its_cause(
    service: SipService, status: str, cause: Cause, q850: int
) -> None:
    a = service.phone(A, phones.reject(status))
    spare = service.phone(A, phones.CALL_WITH_REINVITE)  # must not be tried

    call = service.place()

    assert a.result() == ""
    assert spare.messages() == ""
    assert (call.status, call.hangup_cause, call.duration, call.cost) == (2, cause, 0, 0)
    row = leg(call, Side.A)
    assert (row.sip_status, row.q850) == (int(status[:3]), q850)


def test_the_caller_is_hung_up_if_the_callee_is_busy(service: SipService) -> None:
    a = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_BYE])
    b = service.phone(B, phones.reject("486 Busy Here"))

    call = service.place()

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (6, Cause.BUSY)
    assert leg(call, Side.A).hangup_cause == Cause.OTHER_LEG


def test_the_q850_cause_of_the_reason_header_is_stored(service: SipService) -> None:
    reason = 'Reason: Q.850;cause=34;text="No circuit"'
    service.phone(A, phones.reject("480 Temporarily Unavailable", headers=(reason,)))

    call = service.place()

    assert leg(call, Side.A).q850 == 34


@pytest.mark.parametrize("cause", [-5, 0, 128, 99999])
def test_an_invalid_q850_cause_is_ignored(service: SipService, cause: int) -> None:
    """The column cannot store it, so saving the leg would fail."""
    reason = f"Reason: Q.850;cause={cause}"
    service.phone(A, phones.reject("480 Temporarily Unavailable", headers=(reason,)))

    call = service.place()

    assert (call.status, call.hangup_cause) == (2, Cause.NO_ANSWER)
    assert leg(call, Side.A).q850 == 18


def test_a_canceled_phone_may_delay_its_final_response(service: SipService) -> None:
    receive_cancel, ok, terminated, receive_ack = phones.ACCEPT_CANCEL
    delayed = [*phones.RING, receive_cancel, ok, phones.pause(700), terminated, receive_ack]
    a = service.phone(A, delayed, ring_timeout=1)

    service.place(max_duration=30)

    assert a.result() == ""


@pytest.mark.parametrize("side", list(Side))
def test_a_phone_that_nobody_answers_is_canceled(service: SipService, side: Side) -> None:
    ring_until_canceled = [*phones.RING, *phones.ACCEPT_CANCEL]
    if side is Side.A:
        a = service.phone(A, ring_until_canceled, ring_timeout=1)
        b = None
    else:
        a = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_BYE])
        b = service.phone(B, ring_until_canceled, ring_timeout=1)

    call = service.place(max_duration=30)

    assert a.result() == ""
    assert b is None or b.result() == ""
    assert (call.status, call.hangup_cause) == (2 if side is Side.A else 6, Cause.NO_ANSWER)


def test_leg_b_is_canceled_if_the_caller_hangs_up_while_it_rings(service: SipService) -> None:
    hang_up = [*phones.ANSWER, phones.pause(600), phones.send_request("BYE", 2)]
    a = service.phone(A, [*hang_up, phones.receive_response(200)])
    b = service.phone(B, [*phones.RING, *phones.ACCEPT_CANCEL])

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)


@pytest.mark.parametrize("side", list(Side))
def test_a_hang_up_by_either_phone_ends_the_call_for_both(service: SipService, side: Side) -> None:
    hang_up = [phones.pause(500), phones.send_request("BYE", 2), phones.receive_response(200)]
    a_end, b_end = (hang_up, phones.ACCEPT_BYE) if side is Side.A else (phones.ACCEPT_BYE, hang_up)
    a = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_REINVITE, *a_end])
    b = service.phone(B, [*phones.ANSWER, *b_end])

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    assert leg(call, side).q850 == 16


def test_a_hold_by_the_callee_is_forwarded_to_the_caller(service: SipService) -> None:
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            *phones.ACCEPT_REINVITE,
            phones.receive("INVITE", body="a=sendonly"),
            phones.respond("200 OK", phones.sdp(4, "a=recvonly")),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )
    b = service.phone(B, [*phones.ANSWER, *phones.hold(200), *phones.ACCEPT_BYE])

    call = service.place(max_duration=3)

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.MAX_DURATION
    assert "a=recvonly" in b.messages()


@pytest.mark.parametrize(
    ("body", "status"), [("", 200), (phones.sdp(3, "a=sendonly"), 488)], ids=["refresh", "offer"]
)
def test_update_is_accepted_without_an_offer_and_rejected_with_a_new_one(
    service: SipService, body: str, status: int
) -> None:
    update = [
        phones.pause(400),
        phones.send_request("UPDATE", 2, body),
        phones.receive_response(status),
    ]
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    b = service.phone(B, [*phones.ANSWER, *update, *phones.ACCEPT_BYE])

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_re_invite_without_an_offer_receives_our_offer(service: SipService) -> None:
    refresh = [
        phones.pause(400),
        phones.send_request("INVITE", 2),
        phones.receive_response(200),
        phones.send_request("ACK", 2, phones.sdp(3), retry=False),
    ]
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            *phones.ACCEPT_REINVITE,
            phones.receive("INVITE"),
            phones.respond("200 OK", phones.sdp(5)),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )
    b = service.phone(B, [*phones.ANSWER, *refresh, *phones.ACCEPT_BYE])

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_rejected_re_invite_ends_the_call(service: SipService) -> None:
    reject = [
        phones.receive("INVITE"),
        phones.respond("488 Not Acceptable Here"),
        phones.receive("ACK"),
    ]
    a = service.phone(A, [*phones.ANSWER, *reject, *phones.ACCEPT_BYE])
    b = service.phone(B, phones.CALL_WITHOUT_REINVITE)

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == 488


def test_with_late_offer_leg_a_receives_no_re_invite(service: SipService) -> None:
    a = service.phone(A, phones.CALL_WITHOUT_REINVITE, late_offer=True)
    b = service.phone(
        B, [phones.receive_invite(offer="m=audio"), *phones.CALL_WITHOUT_REINVITE[1:]]
    )

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_early_media_is_sent_to_the_caller(service: SipService) -> None:
    """The offer to B omits the `a=inactive` with which A's phone answered our inactive offer."""
    answer = [*phones.RING, phones.respond_to_invite("200 OK", phones.sdp(1, "a=inactive"))]
    a = service.phone(
        A, [*answer, phones.receive("ACK"), *phones.ACCEPT_REINVITE, *phones.ACCEPT_BYE]
    )
    b = service.phone(
        B,
        [
            phones.receive_invite(offer=f"m=audio {a.port + 10_000}"),
            phones.respond_to_invite("183 Session Progress", phones.sdp()),
            phones.pause(700),
            phones.respond_to_invite("200 OK", phones.sdp()),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
        early_media=True,
    )

    call = service.place(max_duration=3)

    assert (a.result(), b.result()) == ("", "")
    assert call.status == 8
    assert "a=inactive" not in b.messages()


def test_with_late_offer_there_is_no_early_media(service: SipService) -> None:
    """A's phone accepts only one answer to its offer, in the ACK: the SDP of B's 200 OK."""
    a = service.phone(A, phones.CALL_WITHOUT_REINVITE, late_offer=True)
    b = service.phone(
        B,
        [
            phones.receive_invite(offer="m=audio"),
            phones.respond_to_invite("183 Session Progress", phones.sdp()),
            phones.pause(300),
            phones.respond_to_invite("200 OK", phones.sdp()),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
        early_media=True,
    )

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_a_requested_hang_up_while_leg_a_rings_cancels_it(service: SipService) -> None:
    call = service.queue(max_duration=30)
    a = service.phone(A, [*phones.RING, *phones.ACCEPT_CANCEL])
    service.gateway_to_nobody(B)

    _hang_up_after(call, seconds=1.0)

    assert a.result() == ""
    assert (call.status, call.hangup_cause) == (2, Cause.HANG_UP_REQUESTED)


def test_a_200_ok_after_a_requested_hang_up_receives_ack_and_bye(service: SipService) -> None:
    answer_late: list[Step] = [
        phones.receive_invite(),
        phones.pause(1500),
        phones.respond_to_invite("200 OK", phones.sdp()),
        phones.receive("ACK"),
        *phones.ACCEPT_BYE,
    ]
    call = service.queue(max_duration=30)
    a = service.phone(A, answer_late)
    service.gateway_to_nobody(B)

    _hang_up_after(call, seconds=0.5)

    assert a.result() == ""
    assert (call.status, call.cost) == (2, 0)


def _hang_up_after(call: Call, seconds: float) -> None:
    """Hang up this long after A's phone was dialed."""
    dialed = Call.objects.filter(pk=call.pk, status=CallStatus.A_INITIATED)

    async def later() -> None:
        await eventually(dialed.exists)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(closing, lambda: call.request_hang_up(timezone.now()))

    serve(Engine("test"), until=ended(call), during=later)
    call.refresh_from_db()


def test_a_call_is_freed_without_the_garbage_collector(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection blocks the switch: with 10,000 calls, for most of a second."""
    monkeypatch.setattr(UserAgent, "godead_timeout", 0.2)  # seconds instead of 32
    created: list[weakref.ref[object]] = []
    for kind in (CallRunner, SipCall):

        def init_and_note(self: object, *args: object, init: Any = kind.__init__) -> None:
            created.append(weakref.ref(self))
            init(self, *args)

        monkeypatch.setattr(kind, "__init__", init_and_note)
    service.phone(A, phones.CALL_WITH_REINVITE)
    service.phone(B, phones.CALL_WITHOUT_REINVITE)
    call = service.queue(max_duration=1)
    gc.collect()
    gc.disable()
    try:
        serve(Engine("test"), until=lambda: ended(call)() and not any(each() for each in created))
    finally:
        gc.enable()
    assert len(created) == 2
