"""The switch end to end: rows in, simulated phones rung, events out, money charged."""

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
from .customer import Customer, Told

pytestmark = pytest.mark.django_db(transaction=True)

# What the phones do, as leg A and as leg B: the number's ending, the statuses of the call, its
# cause, and the seconds that it lasts at least.
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


def without_ticks(statuses: list[int]) -> list[int]:
    return [status for status, _repeats in itertools.groupby(statuses)]


def serve_one(call: Call) -> Call:
    serve(Engine("test", SPEED), until=ended(call))
    call.refresh_from_db()
    return call


def test_the_whole_table_of_phones(service: Service) -> None:
    """All rows at once, since a call costs the switch nothing while it rings or talks."""
    with Customer() as customer:
        rows = [("A", *row) for row in LEG_A] + [("B", *row) for row in LEG_B]
        calls = [
            service.queue(
                **{side.lower(): ending},
                custom=f"{side}{ending}",
                max_duration=300,  # far more than the longest talk, also where timers are late
                eventurl=customer.eventurl,
            )
            for side, ending, *_ in rows
        ]
        serve(Engine("test", SPEED), until=ended())

    seen, expected = [], []
    for call, (_side, _ending, statuses, cause, seconds) in zip(calls, rows, strict=True):
        call.refresh_from_db()
        told = without_ticks(customer.statuses(call.custom))
        seen.append((call.custom, told, call.status, call.hangup_cause, call.duration >= seconds))
        expected.append((call.custom, statuses, statuses[-1], cause, True))
        assert call.cost == sum((leg.cost for leg in call.legs.all()), Decimal(0))
    assert seen == expected


def test_money_goes_from_hold_to_charge_and_what_is_left_is_free_again(service: Service) -> None:
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


def test_the_last_event_tells_what_was_charged(service: Service) -> None:
    with Customer() as customer:
        call = serve_one(service.queue(b="13", eventurl=customer.eventurl))
    assert Decimal(customer.told[-1]["debit"]) == call.cost
    assert int(customer.told[-1]["duration"]) == call.duration
    assert customer.told[0] == {
        "webcallid": "web1",
        "status": "1",
        "duration": "0",
        "debit": "0.000",
    }


def test_each_delivery_is_kept_with_its_answer(service: Service) -> None:
    with Customer(lambda told: told["status"] == "7") as customer:
        call = serve_one(service.queue(eventurl=customer.eventurl))
    kept = [(d.sequence, d.status, d.answer, d.error) for d in call.deliveries.all()]
    assert kept == [
        (1, 1, 200, ""),
        (2, 3, 200, ""),
        (3, 5, 200, ""),
        (4, 7, 412, ""),
        (5, 8, 200, ""),
    ]


def test_a_call_without_eventurl_is_served_in_silence(service: Service) -> None:
    call = serve_one(service.queue(b="10"))
    assert call.status == 8
    assert not call.deliveries.exists()


def test_the_times_of_the_legs_agree_with_their_durations(service: Service) -> None:
    call = service.queue(b="12")
    # Slow enough that no stall of the machine lets the call outlast what its hold has paid for.
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
def test_within_two_seconds_of_a_412_every_phone_is_put_down_in_any_phase(
    service: Service, status: str, a: str, b: str, final: int
) -> None:
    dialed: list[LegKey] = []
    put_down: dict[LegKey, float] = {}
    answered: list[float] = []

    class Phones(SimulatedGateway):
        def originate(self, leg: LegKey, *args: Any) -> None:
            dialed.append(leg)
            super().originate(leg, *args)

        def hang_up(self, leg: LegKey, cause: Cause) -> None:
            put_down[leg] = time.monotonic()
            super().hang_up(leg, cause)

    def veto(told: Told) -> bool:
        if told["status"] != status:
            return False
        answered.append(time.monotonic())
        return True

    with Customer(veto) as customer:
        call = service.queue(a=a, b=b, eventurl=customer.eventurl)
        at_the_clocks_speed = Engine("test", kinds={"simulated": Phones})
        serve(at_the_clocks_speed, until=ended(call))

    assert put_down.keys() == set(dialed)
    assert all(0 <= moment - answered[0] < 2 for moment in put_down.values())
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (final, "vetoed")
    assert customer.statuses().count(final) == 1
    assert all(leg.ended_at is not None for leg in call.legs.all())


def test_a_strangers_rule_of_five_minutes_ends_the_call_at_its_tick(service: Service) -> None:
    """The seed's example: 412 once the status is 7 and the duration at least 300."""

    def too_long(told: Told) -> bool:
        return told["status"] == "7" and int(told["duration"]) >= 300

    with Customer(too_long) as customer:
        call = serve_one(service.queue(eventurl=customer.eventurl))
    assert (call.status, call.hangup_cause) == (8, "vetoed")
    ticks = [int(told["duration"]) // 60 for told in customer.told if told["status"] == "7"]
    assert ticks == sorted(set(ticks))  # each minute once, in order
    assert ticks[-1] >= 5  # 5, unless this machine is very busy
    assert call.duration >= 300
    assert call.held == 0


def test_an_endpoint_that_is_not_there_does_not_matter_to_the_call(service: Service) -> None:
    with Customer() as customer:
        gone = customer.eventurl
    call = serve_one(service.queue(b="10", eventurl=gone))
    assert call.status == 8
    assert {d.answer for d in call.deliveries.all()} == {None}
    assert all("Cannot connect" in d.error for d in call.deliveries.all())


def test_a_down_gateway_is_followed_by_the_next_with_a_leg_row_for_each(service: Service) -> None:
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


def test_gateways_that_were_closed_since_admission_ring_nobody(service: Service) -> None:
    Gateway.objects.update(is_active=False)
    call = serve_one(service.queue())
    assert (call.status, call.hangup_cause, call.cost) == (2, "no_gateway", 0)


def test_a_rate_that_was_deleted_since_admission_rings_nobody(service: Service) -> None:
    call = service.queue()
    service.rate.delete()
    serve_one(call)
    assert (call.status, call.hangup_cause) == (2, "no_rate")
    assert not call.legs.exists()


def test_a_call_that_waited_too_long_rings_nobody(service: Service) -> None:
    from datetime import timedelta

    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        Call.objects.update(created_at=call.created_at - timedelta(seconds=31))
        serve_one(call)
    assert (call.status, call.hangup_cause) == (2, "queue_timeout")
    assert not call.legs.exists()
    assert customer.statuses() == [1, 2]
    assert Account.objects.get().held == 0


def test_a_hold_is_extended_as_the_call_goes_on(service: Service) -> None:
    call = serve_one(service.queue(b="19", hold=20, max_duration=300))
    assert call.hangup_cause == "normal"
    assert call.cost > Decimal("1.8")  # the first hold was 0.4


def test_a_call_whose_hold_cannot_be_extended_is_cut_within_the_funds(service: Service) -> None:
    call = service.queue(hold=20, max_duration=300)
    Account.objects.update(balance=Decimal("0.5"))
    serve_one(call)
    assert (call.status, call.hangup_cause) == (8, "no_funds")
    account = Account.objects.get()
    assert Decimal(0) <= account.balance <= Decimal("0.02")
    assert account.held == 0


def test_an_operator_hangs_up(service: Service) -> None:
    call = service.queue()

    async def hang_up() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        await asyncio.to_thread(closing, lambda: call.request_hang_up(call.created_at))

    serve(Engine("test", SPEED), until=ended(call), during=hang_up)
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, "hang_up_requested")


def test_a_hang_up_asked_before_any_switch_had_the_call_rings_nobody(service: Service) -> None:
    call = service.queue()
    call.request_hang_up(call.created_at)
    serve_one(call)
    assert (call.status, call.hangup_cause) == (2, "hang_up_requested")
    assert not call.legs.exists()


def test_a_switch_that_stops_ends_its_calls_and_tells_their_customers(service: Service) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(Engine("test", SPEED), until=lambda: Call.objects.filter(status=7).exists())
        call.refresh_from_db()
    assert (call.state, call.status, call.hangup_cause) == ("ended", 8, "switch_stopped")
    assert customer.statuses() == [1, 3, 5, 7, 8]
    assert Account.objects.get().held == 0


def test_stopping_takes_no_longer_than_allowed_and_leaves_the_rest_to_be_recovered(
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


def test_a_password_that_is_not_there_is_told_once_in_the_log(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trunk = {"kind": "sip", "host": "sip.example.com", "username": "carrier"}
    Gateway.objects.update(password_variable="TRUNK_PASSWORD", **trunk)
    monkeypatch.delenv("TRUNK_PASSWORD", raising=False)
    switch = Engine("test", 1, kinds={"sip": SimulatedGateway})

    def told() -> list[str]:
        caplog.clear()
        switch._log_missing_passwords(plan.routes(["sip"]))
        return caplog.messages

    [once] = told()
    assert "'carrier' and no password" in once
    assert told() == []
    monkeypatch.setenv("TRUNK_PASSWORD", "correct horse")
    assert told() == []
    monkeypatch.delenv("TRUNK_PASSWORD")
    assert told() == [once]
