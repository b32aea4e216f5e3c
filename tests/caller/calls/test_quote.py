"""Quotes: what is known about a call before it is requested."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_poketalk.calls import requesting
from django_poketalk.calls.quiet_hours import QuietHours
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallRequest

from ..conftest import CALLEE, CALLER

ORDER: requesting.Order = {"from_number": CALLER, "to_number": CALLEE}
ALL_CAPS = {
    "LIVE_CALLS_PER_USER": 1,
    "CALLS_PER_HOUR_PER_USER": 10,
    "SPEND_PER_DAY_PER_USER": Decimal(5),
    "CALLS_PER_HOUR_PER_CALLEE": 3,
    "LIVE_CALLS": 8,
    "CALLS_PER_HOUR": 100,
    "SPEND_PER_DAY": Decimal(20),
}


@pytest.mark.django_db
def test_a_quote_has_both_phones_and_the_limits(poketalk: Callable[..., None]) -> None:
    poketalk(DEFAULT_REGION="GB", MAX_DURATION=600, MAX_COST=Decimal(2))

    quote = requesting.quote(
        from_number="020 7946 0000", to_number="+49 (0)30 23125 012", max_duration=900
    )

    assert quote.is_allowed
    assert (quote.caller.number, quote.caller.country) == (CALLER, "GB")
    assert (quote.callee.number, quote.callee.country) == ("+493023125012", "DE")
    assert (quote.call.max_duration, quote.call.max_cost) == (600, Decimal(2))
    assert quote.quiet_hours is None


@pytest.mark.django_db
def test_a_quote_has_the_callee_s_time_and_quiet_hours(poketalk: Callable[..., None]) -> None:
    poketalk(QUIET_HOURS=("21:00", "08:00"))

    with time_machine.travel(datetime(2026, 7, 1, 21, 30, tzinfo=UTC), tick=False):
        quote = requesting.quote(**ORDER)

    assert quote.quiet_hours == QuietHours.parse(("21:00", "08:00"))
    assert [f"{at:%H:%M}" for at in quote.callee_time.local] == ["22:30"]
    assert quote.callee_time.again == datetime(2026, 7, 2, 7, tzinfo=UTC)
    assert [refusal.code for refusal in quote.refusals] == ["quiet_hours"]


@pytest.mark.django_db
def test_a_quote_has_the_blacklist_entries_for_each_direction() -> None:
    caller = BlacklistedNumber.objects.create(number=CALLER, direction="from")
    callee = BlacklistedNumber.objects.create(number="+4420", is_prefix=True, direction="to")

    quote = requesting.quote(**ORDER)

    assert (quote.caller.blacklisted, quote.callee.blacklisted) == (caller, callee)
    assert [(why.code, why.field) for why in quote.refusals] == [
        ("blacklisted", "from_number"),
        ("blacklisted", "to_number"),
    ]


def test_a_quote_has_the_use_and_the_rest_of_each_cap(
    poketalk: Callable[..., None], user: Any, new_call: Callable[..., CallRequest]
) -> None:
    earlier = new_call(user=user)
    CallRequest.objects.filter(pk=earlier.pk).update(cost=Decimal("1.25"), ended_at=timezone.now())
    new_call()  # nobody's
    poketalk(**ALL_CAPS)

    quote = requesting.quote(**ORDER, user=user)

    assert {cap.name: (cap.used, cap.left) for cap in quote.caps} == {
        "live_calls_per_user": (0, 1),
        "calls_per_hour_per_user": (1, 9),
        "spend_per_day_per_user": (Decimal("1.25"), Decimal("3.75")),
        "calls_per_hour_per_callee": (2, 1),
        "live_calls": (1, 7),
        "calls_per_hour": (2, 98),
        "spend_per_day": (Decimal("1.25"), Decimal("18.75")),
    }
    assert quote.is_allowed


def test_spending_is_exact_to_the_millionth(
    poketalk: Callable[..., None], new_call: Callable[..., CallRequest]
) -> None:
    for cost in ("50", *["0.3"] * 20):  # in floats, as SQLite adds: 55.9999999999999
        CallRequest.objects.filter(pk=new_call().pk).update(cost=Decimal(cost))
    poketalk(SPEND_PER_DAY=Decimal(56))

    [cap] = requesting.quote(**ORDER).caps

    assert (cap.used, cap.is_reached) == (Decimal(56), True)


def test_an_exceeded_cap_has_nothing_left(
    poketalk: Callable[..., None], new_call: Callable[..., CallRequest]
) -> None:
    new_call()
    new_call()
    poketalk(CALLS_PER_HOUR=1)

    [cap] = requesting.quote(**ORDER).caps

    assert (cap.used, cap.left, cap.is_reached) == (2, 0, True)


def test_a_quote_has_all_refusals_and_a_call_raises_the_first(
    poketalk: Callable[..., None], user: Any, new_call: Callable[..., CallRequest]
) -> None:
    new_call(user=user)
    BlacklistedNumber.objects.create(number=CALLEE)
    poketalk(ALLOWED_COUNTRIES=["FR"], LIVE_CALLS_PER_USER=1, LIVE_CALLS=1)
    order: requesting.Order = {**ORDER, "user": user}
    late = timezone.now() - timedelta(seconds=1)

    codes = [why.code for why in requesting.quote(**order, expires_at=late).refusals]

    assert codes == [
        "expired",
        "country_not_allowed",
        "country_not_allowed",
        "blacklisted",
        "live_calls_per_user",
        "live_calls",
    ]
    with pytest.raises(CallRefused) as first:
        requesting.request_call(**order)
    assert first.value.code == "country_not_allowed"


@pytest.mark.django_db
def test_an_invalid_order_raises_an_error() -> None:
    for change, code in (({"to_number": "nobody"}, "number_invalid"), ({"max_duration": 0}, None)):
        with pytest.raises(CallRefused) as refusal:
            requesting.quote(**{**ORDER, **change})  # type: ignore[typeddict-item]
        assert code is None or refusal.value.code == code


@pytest.mark.usefixtures("call")
def test_a_quote_makes_each_query_once_and_writes_nothing(
    poketalk: Callable[..., None],
    user: Any,
    woken: list[Any],
    django_assert_num_queries: Callable[..., Any],
) -> None:
    poketalk(**ALL_CAPS)
    woken.clear()

    with django_assert_num_queries(2) as queries:  # the blacklist; the caps
        quote = requesting.quote(**ORDER, user=user)

    assert all(query["sql"].lstrip("(").startswith("SELECT") for query in queries)
    assert (quote.call.pk, CallRequest.objects.count(), woken) == (None, 1, [])


def test_a_quote_has_the_call_and_places_none(
    user: Any, poketalk: Callable[..., None], woken: list[Any]
) -> None:
    poketalk(MAX_DURATION=600)

    quoted = requesting.quote(**ORDER, user=user, max_duration=900).call

    assert (quoted.from_number, quoted.to_number) == (CALLER, CALLEE)
    assert (quoted.max_duration, quoted.pk) == (600, None)
    assert not CallRequest.objects.exists()
    assert woken == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"from_number": "none"}, "number_invalid"),
        ({"from_number": CALLEE}, "same_number"),
        ({"max_duration": 0}, "limit_invalid"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "expired"),
    ],
)
def test_a_quote_has_the_refusals_of_a_call(db: None, order: Any, code: str) -> None:
    changed = {**ORDER, **order}

    with pytest.raises(CallRefused) as refusal:
        requesting.request_call(**changed)
    assert refusal.value.code == code
    try:
        refusals = requesting.quote(**changed).refusals
    except CallRefused as error:
        refusals = (error,)
    assert [each.code for each in refusals] == [code]
