"""The buy cost of legs: by the gateway that carried the leg, at the rates of the time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_poketalk.server.models import BuyRate, Call, Gateway, Leg
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Side
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims, plan
from django_poketalk.server.switch.recovery import recovery

from ..conftest import SPEED, Service, ended, serve

pytestmark = pytest.mark.django_db(transaction=True)

D = Decimal


def buy(gateway: Gateway, prefix: str, price: str, **more: Any) -> BuyRate:
    return BuyRate.objects.create(gateway=gateway, prefix=prefix, price_per_minute=D(price), **more)


def served(call: Call) -> dict[str, Leg]:
    serve(Engine("test", SPEED), until=ended(call))
    return {f"{leg.side}{leg.attempt}": leg for leg in call.legs.all()}


def test_buy_cost_starts_at_the_answer_and_uses_the_longest_prefix(service: Service) -> None:
    buy(service.gateway, "", "9")
    buy(service.gateway, "44", "0.30", connect_fee=D("0.05"))
    legs = served(service.queue(b="12"))
    for leg in legs.values():
        assert leg.buy_cost == D("0.05") + D("0.005") * leg.duration
        assert leg.margin == leg.cost - leg.buy_cost
        assert (leg.buy_price_per_minute, leg.buy_connect_fee) == (D("0.30"), D("0.05"))
    assert legs["A1"].duration > legs["B1"].duration > 0


def test_buy_cost_of_leg_a_starts_at_its_answer_even_if_it_is_free_until_connected(
    service: Service,
) -> None:
    buy(service.gateway, "", "0.60")
    call = service.queue(b="02", leg_a_billed="connected")
    legs = served(call)
    assert legs["A1"].duration >= 30
    assert legs["A1"].cost == 0
    assert legs["A1"].buy_cost == D("0.01") * legs["A1"].duration
    assert legs["A1"].margin == -legs["A1"].buy_cost
    assert legs["B1"].buy_cost == 0
    assert not call.entries.exists()


def test_without_a_buy_rate_the_margin_is_unknown(service: Service) -> None:
    buy(service.gateway, "1", "0.60")  # for other numbers
    legs = served(service.queue(b="10"))
    assert {leg.buy_cost for leg in legs.values()} == {None}
    assert {leg.margin for leg in legs.values()} == {None}
    assert {leg.buy_tariff for leg in legs.values()} == {None}


def test_a_leg_has_the_buy_rate_of_the_gateway_that_carried_it(service: Service) -> None:
    """The first gateway fails, and charges nothing."""
    first = Gateway.objects.create(
        provider=service.provider, name="Expensive", kind="simulated", priority=1, prefixes="44"
    )
    buy(first, "", "60")
    buy(service.gateway, "", "0.60")
    [claimed] = claim(service.queue())
    assert claimed.buy_tariffs[Side.A, first.pk].price_per_minute == 60
    assert claimed.buy_tariffs[Side.A, service.gateway.pk].price_per_minute == D("0.60")
    legs = served(service.queue(a="04"))  # no gateway can reach it
    assert [leg.buy_cost for leg in legs.values()] == [0, 0]
    assert {leg.gateway_id for leg in legs.values()} == {first.pk, service.gateway.pk}


def claim(*_calls: Call) -> list[plan.ClaimedCall]:
    return claims.claim("test", 50, GatewayAvailability(["simulated"])).calls


def test_later_changes_of_a_buy_rate_do_not_affect_claimed_calls(service: Service) -> None:
    rate = buy(service.gateway, "", "0.60")
    [claimed] = claim(service.queue())
    rate.price_per_minute = D(60)
    rate.save()
    assert claimed.buy_tariffs[Side.B, service.gateway.pk].price_per_minute == D("0.60")


def test_one_query_reads_the_buy_rates_of_all_claimed_calls(
    service: Service,
) -> None:
    buy(service.gateway, "", "0.60")

    def queries(calls: int) -> int:
        for _ in range(calls):
            service.queue()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(claim()) == calls
        statements = [query["sql"] for query in captured]
        return sum("buyrate" in each and "price_per_minute" in each for each in statements)

    assert (queries(1), queries(20)) == (1, 1)


@pytest.mark.parametrize("billed", ["answer", "connected"])
def test_recovered_calls_have_a_buy_cost(service: Service, billed: str) -> None:
    died_at = timezone.now() - timedelta(minutes=1)
    call = service.queue(leg_a_billed=billed)
    Call.objects.filter(pk=call.pk).update(
        state="active",
        switch="dead",
        fence=1,
        seen_at=died_at,
        lease_until=died_at + timedelta(seconds=15),
        status=7,
    )
    for side, answered in (("A", 50.5), ("B", 30.5)):
        answered_at = died_at - timedelta(seconds=answered)
        tariff = service.rate.tariff
        Leg.objects.create(
            call=call,
            side=side,
            gateway=service.gateway,
            number="442079460199",
            price_per_minute=tariff.price_per_minute,
            connect_fee=tariff.connect_fee,
            initial_increment=1,
            subsequent_increment=1,
            initiated_at=answered_at,
            answered_at=answered_at,
            duration={"A": 40, "B": 20}[side],
            buy_price_per_minute=D("0.30"),
            buy_connect_fee=D("0.01"),
            buy_initial_increment=60,
            buy_subsequent_increment=1,
            buy_cost=D("0.31"),
        )
    recovery.recover("next", 10)
    call.refresh_from_db()
    a, b = call.legs.all()
    assert (call.duration, a.duration, b.duration) == (50, 50, 30)
    assert (a.cost, b.cost) == (D("0.50") if billed == "answer" else D("0.30"), D("0.30"))
    assert (a.buy_cost, b.buy_cost) == (D("0.31"), D("0.31"))
    assert call.cost == a.cost + b.cost == -sum(entry.amount for entry in call.entries.all())


def test_leg_a_of_a_recovered_call_is_free_until_connected(service: Service) -> None:
    died_at = timezone.now() - timedelta(minutes=1)
    call = service.queue(leg_a_billed="connected")
    [claimed] = claim()
    Leg.objects.create(
        call=call,
        side="A",
        gateway=service.gateway,
        number="442079460199",
        price_per_minute=D(1),
        connect_fee=0,
        initial_increment=1,
        subsequent_increment=1,
        answered_at=died_at - timedelta(seconds=20),
    )
    Call.objects.update(status=5, seen_at=died_at, lease_until=died_at)
    recovery.recover("next", 10)
    call.refresh_from_db()
    assert (call.status, call.duration, call.cost) == (4, 20, 0)
    assert claimed.plan.a_free_until_connected


def test_a_longer_maximum_duration_is_stored_when_leg_b_answers(service: Service) -> None:
    call = service.queue(max_duration=30, hold=30, b="21", duration_cap=35)  # B rings for 15 s
    served(call)
    call.refresh_from_db()
    assert (call.max_duration, call.duration, call.hangup_cause) == (35, 35, "max_duration")


def test_a_small_hold_does_not_shorten_the_maximum_duration(service: Service) -> None:
    call = service.queue(max_duration=200, hold=30, b="11")  # B talks for 10 s
    served(call)
    call.refresh_from_db()
    assert (call.max_duration, call.hangup_cause) == (200, "normal")
