"""The switch end to end: it serves rows, rings simulated phones, sends events and charges."""

from __future__ import annotations

import asyncio
import itertools
import time
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.models import Account, Call, Gateway
from django_poketalk.server.switch import engine
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import LegKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from django_poketalk.server.switch.ownership import plan

from .conftest import SPEED, Service, closing, ended, eventually, serve
from .customer import Customer, EventQuery

pytestmark = pytest.mark.django_db(transaction=True)

# Phones as leg A and as leg B: the last digits of the number, the statuses of the call, its cause,
# and its minimum duration in seconds.
LEG_A = [
    ("01", [1, 2], "busy", 0),
    ("02", [1, 2], "no_answer", 0),
    ("03", [1, 2], "declined", 0),
    ("04", [1, 2], "gateway_down", 0),
    ("05", [1, 2], "unallocated_number", 0),
    ("06", [1, 3, 5, 4], "normal", 2),
    ("10", [1, 3, 5, 7, 8], "normal", 5),
    ("12", [1, 3, 5, 7, 8], "normal", 20),
]
LEG_B = [
    ("01", [1, 3, 5, 6], "busy", 0),
    ("02", [1, 3, 5, 6], "no_answer", 30),
    ("03", [1, 3, 5, 6], "declined", 2),
    ("04", [1, 3, 5, 6], "gateway_down", 0),
    ("05", [1, 3, 5, 6], "unallocated_number", 0),
    ("06", [1, 3, 5, 7, 8], "normal", 5),
    ("10", [1, 3, 5, 7, 8], "normal", 8),
    ("11", [1, 3, 5, 7, 8], "normal", 13),
    ("19", [1, 3, 5, 7, 8], "normal", 93),
    ("20", [1, 3, 5, 7, 8], "max_duration", 300),
    ("21", [1, 3, 5, 7, 8], "max_duration", 300),
    ("77", [1, 3, 5, 7, 8], "max_duration", 300),
]


def without_repeats(statuses: list[int]) -> list[int]:
    return [status for status, _repeats in itertools.groupby(statuses)]


def serve_one(call: Call) -> Call:
    serve(Engine("test", SPEED), until=ended(call))
    call.refresh_from_db()
    return call


@pytest.mark.timeout(180)  # it waits for seconds, so it begins early
def test_each_simulated_phone_produces_the_expected_outcome(service: Service) -> None:
    """All rows at the same time, to save time."""
    with Customer() as customer:
        rows = [("A", *row) for row in LEG_A] + [("B", *row) for row in LEG_B]
        calls = [
            service.queue(
                **{side.lower(): ending},
                custom=f"{side}{ending}",
                max_duration=300,  # well above the longest talk, even if timers are late
                eventurl=customer.eventurl,
            )
            for side, ending, *_ in rows
        ]
        serve(Engine("test", SPEED), until=ended())

    seen, expected = [], []
    for call, (_side, _ending, statuses, cause, seconds) in zip(calls, rows, strict=True):
        call.refresh_from_db()
        received = without_repeats(customer.statuses(call.custom))
        seen.append(
            (call.custom, received, call.status, call.hangup_cause, call.duration >= seconds)
        )
        expected.append((call.custom, statuses, statuses[-1], cause, True))
        assert call.cost == sum((leg.cost for leg in call.legs.all()), Decimal(0))
    assert seen == expected


def test_a_call_is_charged_and_the_rest_of_its_hold_is_released(service: Service) -> None:
    call = serve_one(service.queue(b="12", custom="web1"))
    legs = {leg.side: leg for leg in call.legs.all()}
    assert legs["B"].duration >= 20
    assert legs["A"].duration == call.duration >= 23
    assert legs["A"].cost == legs["A"].duration * Decimal("0.01")
    assert call.cost == legs["A"].cost + legs["B"].cost
    account = Account.objects.get()
    assert (account.balance, account.held) == (Decimal(1000) - call.cost, 0)
    assert [entry.amount for entry in call.entries.order_by("side")] == [
        -legs["A"].cost,
        -legs["B"].cost,
    ]
    assert (call.held, call.lease_until) == (0, None)
    assert call.charged_at is not None


def test_the_final_event_contains_the_charge(service: Service) -> None:
    with Customer() as customer:
        call = serve_one(service.queue(b="13", eventurl=customer.eventurl))
    assert Decimal(customer.events[-1]["debit"]) == call.cost
    assert int(customer.events[-1]["duration"]) == call.duration
    assert customer.events[0] == {
        "webcallid": "web1",
        "status": "1",
        "duration": "0",
        "debit": "0.000",
    }


def test_each_delivery_is_stored_with_its_answer(service: Service) -> None:
    with Customer(lambda event: event["status"] == "7") as customer:
        call = serve_one(service.queue(eventurl=customer.eventurl))
    stored = [(d.sequence, d.status, d.answer, d.error) for d in call.deliveries.all()]
    assert stored == [
        (1, 1, 200, ""),
        (2, 3, 200, ""),
        (3, 5, 200, ""),
        (4, 7, 412, ""),
        (5, 8, 200, ""),
    ]


def test_a_call_without_an_eventurl_sends_no_events(service: Service) -> None:
    call = serve_one(service.queue(b="10"))
    assert call.status == 8
    assert not call.deliveries.exists()


def test_the_times_of_the_legs_match_their_durations(service: Service) -> None:
    call = service.queue(b="12")
    # Slow enough that a stall of the machine does not make the call outlast its hold.
    serve(Engine("test", SPEED / 5), until=ended(call))
    call.refresh_from_db()
    legs = {leg.side: leg for leg in call.legs.all()}
    for leg in legs.values():
        assert leg.initiated_at <= leg.ringing_at <= leg.answered_at <= leg.ended_at
        assert leg.duration == int((leg.ended_at - leg.answered_at).total_seconds() + 0.00001)
    assert (legs["B"].answered_at - legs["B"].initiated_at).total_seconds() >= 2.999
    assert call.ended_at == legs["A"].ended_at


@pytest.mark.parametrize(
    ("status", "a", "b", "final"),
    [("1", "21", "21", 2), ("3", "20", "21", 4), ("5", "20", "21", 4), ("7", "20", "20", 8)],
)
def test_a_412_in_any_phase_hangs_up_all_phones_within_two_seconds(
    service: Service, status: str, a: str, b: str, final: int
) -> None:
    dialed: list[LegKey] = []
    hung_up_at: dict[LegKey, float] = {}
    answered: list[float] = []

    class Phones(SimulatedGateway):
        def originate(self, leg: LegKey, *args: Any) -> None:
            dialed.append(leg)
            super().originate(leg, *args)

        def hang_up(self, leg: LegKey, cause: Cause) -> None:
            hung_up_at[leg] = time.monotonic()
            super().hang_up(leg, cause)

    def veto(event: EventQuery) -> bool:
        if event["status"] != status:
            return False
        answered.append(time.monotonic())
        return True

    with Customer(veto) as customer:
        call = service.queue(a=a, b=b, eventurl=customer.eventurl)
        at_normal_speed = Engine("test", kinds={"simulated": Phones})
        serve(at_normal_speed, until=ended(call))

    assert hung_up_at.keys() == set(dialed)
    assert all(0 <= moment - answered[0] < 2 for moment in hung_up_at.values())
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (final, "vetoed")
    assert customer.statuses().count(final) == 1
    assert all(leg.ended_at is not None for leg in call.legs.all())


@pytest.mark.timeout(180)  # it waits for seconds, so it begins early
def test_a_customer_can_end_calls_after_five_minutes(service: Service) -> None:
    """The protocol's example: 412 once the status is 7 and the duration at least 300."""

    def too_long(event: EventQuery) -> bool:
        return event["status"] == "7" and int(event["duration"]) >= 300

    with Customer(too_long) as customer:
        call = serve_one(service.queue(eventurl=customer.eventurl))
    assert (call.status, call.hangup_cause) == (8, "vetoed")
    minutes = [int(event["duration"]) // 60 for event in customer.events if event["status"] == "7"]
    assert minutes == sorted(set(minutes))  # each minute at most once, in order
    assert minutes[-1] >= 5  # later ones only if this machine is very busy
    assert call.duration >= 300
    assert call.held == 0


def test_an_unreachable_endpoint_does_not_affect_the_call(service: Service) -> None:
    with Customer() as customer:
        gone = customer.eventurl
    call = serve_one(service.queue(b="10", eventurl=gone))
    assert call.status == 8
    assert {d.answer for d in call.deliveries.all()} == {None}
    assert all("Cannot connect" in d.error for d in call.deliveries.all())


def test_each_attempt_through_a_gateway_has_a_leg_row(service: Service) -> None:
    second = Gateway.objects.create(
        provider=service.provider, name="More phones", kind="simulated", priority=20
    )
    call = serve_one(service.queue(a="04"))
    legs = [(leg.side, leg.attempt, leg.gateway, leg.hangup_cause) for leg in call.legs.all()]
    assert legs == [
        ("A", 1, service.gateway, "gateway_down"),
        ("A", 2, second, "gateway_down"),
    ]
    assert call.status == 2


def test_gateways_that_were_deactivated_after_admission_ring_nobody(service: Service) -> None:
    Gateway.objects.update(is_active=False)
    call = serve_one(service.queue())
    assert (call.status, call.hangup_cause, call.cost) == (2, "no_gateway", 0)


def test_a_call_whose_rate_was_deleted_after_admission_rings_nobody(service: Service) -> None:
    call = service.queue()
    service.rate.delete()
    serve_one(call)
    assert (call.status, call.hangup_cause) == (2, "no_rate")
    assert not call.legs.exists()


def test_a_call_that_was_queued_too_long_rings_nobody(service: Service) -> None:
    from datetime import timedelta

    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        Call.objects.update(created_at=call.created_at - timedelta(seconds=31))
        serve_one(call)
    assert (call.status, call.hangup_cause) == (2, "queue_timeout")
    assert not call.legs.exists()
    assert customer.statuses() == [1, 2]
    assert Account.objects.get().held == 0


def test_the_hold_is_extended_during_the_call(service: Service) -> None:
    call = serve_one(service.queue(b="19", hold=20, max_duration=300))
    assert call.hangup_cause == "normal"
    assert call.cost > Decimal("1.8")  # the first hold was 0.4


def test_a_call_whose_hold_cannot_be_extended_ends_within_the_funds(service: Service) -> None:
    call = service.queue(hold=20, max_duration=300)
    Account.objects.update(balance=Decimal("0.5"))
    serve_one(call)
    assert (call.status, call.hangup_cause) == (8, "no_funds")
    account = Account.objects.get()
    assert Decimal(0) <= account.balance <= Decimal("0.02")
    assert account.held == 0


def test_an_operator_can_hang_up_a_call(service: Service) -> None:
    call = service.queue()

    async def hang_up() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        await asyncio.to_thread(closing, lambda: call.request_hang_up(call.created_at))

    serve(Engine("test", SPEED), until=ended(call), during=hang_up)
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, "hang_up_requested")


def test_a_call_with_a_hang_up_requested_before_its_claim_rings_nobody(service: Service) -> None:
    call = service.queue()
    call.request_hang_up(call.created_at)
    serve_one(call)
    assert (call.status, call.hangup_cause) == (2, "hang_up_requested")
    assert not call.legs.exists()


def test_a_stopping_switch_ends_its_calls_and_sends_their_final_events(service: Service) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(Engine("test", SPEED), until=lambda: Call.objects.filter(status=7).exists())
        call.refresh_from_db()
    assert (call.state, call.status, call.hangup_cause) == ("ended", 8, "switch_stopped")
    assert customer.statuses() == [1, 3, 5, 7, 8]
    assert Account.objects.get().held == 0


def test_stopping_has_a_timeout_and_leaves_the_rest_to_recovery(
    service: Service, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(engine, "STOP_TIMEOUT", 0.2)
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}
    with Customer() as customer:
        customer.slow = True
        call = service.queue(a="01", eventurl=customer.eventurl)
        serve(Engine("test", SPEED), until=lambda: Call.objects.filter(status=2).exists())
        call.refresh_from_db()
        assert call.state == "ending"
        customer.slow = False
        serve(Engine("next", SPEED), until=ended(call))
    assert customer.statuses()[-1] == 2
    assert call.entries.count() == 0


def test_numbers_are_masked_in_the_log(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "django_poketalk"):
        call = serve_one(service.queue(b="01"))
    assert f"Call {call.pk}" in caplog.text
    assert call.from_number not in caplog.text
    assert call.from_number[2:-2] not in caplog.text


def test_log_records_name_their_call(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="django_poketalk.server")
    call = serve_one(service.queue(b="01"))

    about = [vars(record) for record in caplog.records if f"Call {call.pk} " in record.getMessage()]
    assert len(about) >= 2
    assert {(each["call_id"], each["call_step"]) for each in about} == {(call.pk, "serve")}


def test_a_missing_password_is_logged_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trunk = {"kind": "sip", "host": "sip.example.com", "username": "carrier"}
    Gateway.objects.update(password_variable="POKETALK_GATEWAY_TRUNK", **trunk)
    monkeypatch.delenv("POKETALK_GATEWAY_TRUNK", raising=False)
    switch = Engine("test", 1, kinds={"sip": SimulatedGateway})

    def logged() -> list[str]:
        caplog.clear()
        switch._gateway_watch.log_missing_passwords(plan.active_gateways(["sip"]))
        return caplog.messages

    [once] = logged()
    assert "has no password: its variable 'POKETALK_GATEWAY_TRUNK' is not set" in once
    assert logged() == []
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", "correct horse")
    assert logged() == []
    monkeypatch.delenv("POKETALK_GATEWAY_TRUNK")
    assert logged() == [once]
