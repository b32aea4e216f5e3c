"""Rates apply from a midnight on, and each call keeps those of the day on which it was accepted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.billing import price_lookup
from django_poketalk.server.models import ALWAYS, BuyRate, Call, PriceList, Rate
from django_poketalk.server.switch.machine.facts_and_commands import Side
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import plan

from .conftest import CALLEE, Customer, DatabaseClock

MONDAY = date(2026, 6, 1)
SUNDAY = datetime(2026, 5, 31, 21, 59, 59, tzinfo=UTC)  # a second before midnight in Berlin
MIDNIGHT = datetime(2026, 5, 31, 22, tzinfo=UTC)


@pytest.fixture
def weekend(customer: Customer, settings: Any, database_clock: DatabaseClock) -> DatabaseClock:
    """The last second of Sunday, with a dearer rate from Monday on."""
    settings.TIME_ZONE = "Europe/Berlin"
    Rate.objects.create(
        price_list=customer.price_list, price_per_minute=Decimal("1.20"), valid_from=MONDAY
    )
    database_clock.set(SUNDAY)
    return database_clock


def tariffs(call: Call) -> tuple[Decimal, Decimal | None]:
    """Leg B's price when a switch claims the call, and what its gateway charges."""
    call.claimed_at = call.created_at  # type: ignore[attr-defined]
    [claimed] = plan.plan_calls([call], GatewayAvailability(["simulated"]), 1)
    [route] = claimed.plan.routes_b
    bought = claimed.buy_tariffs.get((Side.B, route.gateway))
    return claimed.plan.tariff_b.price_per_minute, bought and bought.price_per_minute


def test_a_new_rate_applies_from_midnight_in_the_services_zone(
    customer: Customer, weekend: DatabaseClock
) -> None:
    assert customer.request_call(custom="before") == "00"
    weekend.set(MIDNIGHT)
    assert customer.request_call(custom="after") == "00"

    before, after = Call.objects.order_by("id")
    assert before.rate_b.price_per_minute == Decimal("0.6")
    assert after.rate_b.price_per_minute == Decimal("1.2")


def test_a_call_across_midnight_keeps_its_rates(customer: Customer, weekend: DatabaseClock) -> None:
    for price, day in (("0.1", ALWAYS), ("0.2", MONDAY)):
        BuyRate.objects.create(
            gateway=customer.gateway, price_per_minute=Decimal(price), valid_from=day
        )
    customer.request_call(custom="before")
    weekend.set(MIDNIGHT)
    customer.request_call(custom="after")

    before, after = Call.objects.order_by("id")
    assert tariffs(before) == (Decimal("0.6"), Decimal("0.1"))
    assert tariffs(after) == (Decimal("1.2"), Decimal("0.2"))


def test_calls_of_two_days_that_are_claimed_together_differ(
    customer: Customer, weekend: DatabaseClock, django_assert_num_queries: Any
) -> None:
    BuyRate.objects.create(gateway=customer.gateway, price_per_minute=1)
    BuyRate.objects.create(gateway=customer.gateway, price_per_minute=2, valid_from=MONDAY)
    customer.request_call(custom="before")
    weekend.set(MIDNIGHT)
    customer.request_call(custom="after")
    calls = list(Call.objects.order_by("id"))
    for call in calls:
        call.claimed_at = MIDNIGHT  # type: ignore[attr-defined]

    claimed = plan.plan_calls(calls, GatewayAvailability(["simulated"]), 2)

    prices = [{tariff.price_per_minute for tariff in each.buy_tariffs.values()} for each in claimed]
    assert prices == [{1}, {2}]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([("1", "2026-06-02", 1)], "0.60"),  # a longer prefix that is not valid yet
        ([("1", "2026-06-01", 1), ("1202", "2026-06-02", 2)], "1"),
        ([("1", "2000-01-01", 1), ("1", "2026-05-31", 2), ("1", "2026-06-01", 3)], "3"),
        ([("1", "2026-06-01", 3), ("1", "2026-05-31", 2)], "3"),  # whatever was added last
        ([("1202", "2000-01-01", 1), ("1", "2026-06-01", 3)], "1"),  # length before age
    ],
)
def test_the_newest_rate_of_the_longest_valid_prefix_applies(
    customer: Customer, rates: list[tuple[str, str, int]], expected: str
) -> None:
    for prefix, day, price in rates:
        Rate.objects.create(
            price_list=customer.price_list,
            prefix=prefix,
            price_per_minute=price,
            valid_from=date.fromisoformat(day),
        )

    [found] = price_lookup.rates_for(customer.account, MONDAY, CALLEE)

    assert found is not None
    assert found.price_per_minute == Decimal(expected)


def test_accounts_of_one_provider_pay_by_their_own_lists(
    customer: Customer, django_assert_num_queries: Any
) -> None:
    wholesale = PriceList.objects.create(name="Wholesale")
    Rate.objects.create(price_list=wholesale, price_per_minute=Decimal("0.03"))
    customer.account.price_list = wholesale
    customer.account.save()

    assert customer.request_call() == "00"

    assert Call.objects.get().rate_a.price_list == wholesale
    with django_assert_num_queries(1):
        price_lookup.rates_for(customer.account, MONDAY, CALLEE, "44")


@pytest.mark.parametrize("change", [{"price_list": None}, {"currency": "USD"}])
def test_nothing_is_rated_without_a_list_in_the_accounts_currency(
    customer: Customer, change: dict[str, Any]
) -> None:
    type(customer.account).objects.update(**change)

    assert customer.request_call() == "90"
