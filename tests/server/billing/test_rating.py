"""The cost of a call, and its maximum duration."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_UP, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from django_poketalk.server.billing.rating import Tariff, call_cost, cost, maximum_duration

money = st.decimals(min_value=0, max_value=50, places=6, allow_nan=False, allow_infinity=False)
increments = st.integers(min_value=1, max_value=600)
tariffs = st.builds(Tariff, money, money, increments, increments, money)
seconds = st.integers(min_value=0, max_value=20_000)
funds = st.decimals(min_value=0, max_value=5000, places=3, allow_nan=False, allow_infinity=False)
caps = st.integers(min_value=1, max_value=20_000)


def tariff(price: str, fee: str = "0", initial: int = 1, subsequent: int = 1) -> Tariff:
    return Tariff(Decimal(price), Decimal(fee), initial, subsequent)


@pytest.mark.parametrize(
    ("a_tariff", "after", "expected"),
    [
        (tariff("0.60"), 0, "0.010"),  # the initial increment is due with the answer
        (tariff("0.60"), 1, "0.010"),
        (tariff("0.60"), 60, "0.600"),
        (tariff("0.60", initial=30), 1, "0.300"),
        (tariff("0.60", initial=30), 30, "0.300"),
        (tariff("0.60", initial=30, subsequent=6), 31, "0.360"),
        (tariff("0.60", initial=30, subsequent=6), 36, "0.360"),
        (tariff("0.60", initial=30, subsequent=6), 37, "0.420"),
        (tariff("0.60", fee="0.05", initial=60, subsequent=60), 61, "1.250"),
        (tariff("0.01"), 1, "0.001"),  # 0.000166…, rounded up
        (tariff("0.01"), 6, "0.001"),
        (tariff("0.01"), 7, "0.002"),
        (tariff("0", fee="0.0001"), 5, "0.001"),
        (tariff("0"), 3600, "0.000"),
    ],
)
def test_cost_is_the_fee_and_whole_increments_rounded_up_to_a_thousandth(
    a_tariff: Tariff, after: int, expected: str
) -> None:
    assert cost(a_tariff, after) == Decimal(expected)
    assert cost(a_tariff, after).as_tuple().exponent == -3


def test_a_leg_that_was_not_answered_costs_nothing() -> None:
    dear = tariff("60", fee="1")
    assert call_cost(dear, dear, None, None) == 0
    assert call_cost(dear, dear, 1, None) == Decimal(2)
    assert call_cost(dear, dear, 1, 0) == Decimal(4)


@given(tariffs, seconds)
def test_cost_is_exact_except_for_the_last_rounding(a_tariff: Tariff, after: int) -> None:
    billed = a_tariff.initial_increment
    while billed < after:
        billed += a_tariff.subsequent_increment
    sixtieths = a_tariff.price_per_minute * billed + a_tariff.connect_fee * 60
    sixtieths = max(sixtieths, a_tariff.minimum_charge * 60)
    actual = cost(a_tariff, after) * 60
    assert sixtieths <= actual < sixtieths + Decimal("0.060")


@given(tariffs, seconds)
def test_a_minimum_changes_only_what_would_cost_less(a_tariff: Tariff, after: int) -> None:
    without = cost(replace(a_tariff, minimum_charge=Decimal(0)), after)
    minimum = a_tariff.minimum_charge.quantize(Decimal("0.001"), ROUND_UP)
    assert cost(a_tariff, after) == max(without, minimum)


def test_an_answered_leg_costs_at_least_the_minimum() -> None:
    with_minimum = replace(tariff("0.60", fee="0.05"), minimum_charge=Decimal("0.2001"))
    assert [str(cost(with_minimum, after)) for after in (0, 15, 16)] == ["0.201", "0.201", "0.210"]
    assert maximum_duration(with_minimum, tariff("0"), Decimal("0.200"), 3600) == 0
    assert maximum_duration(with_minimum, tariff("0"), Decimal("0.201"), 3600) == 15


@given(tariffs, seconds, seconds)
def test_cost_never_decreases_with_time(a_tariff: Tariff, one: int, other: int) -> None:
    assert cost(a_tariff, min(one, other)) <= cost(a_tariff, max(one, other))


@given(tariffs, tariffs, funds, caps)
def test_the_maximum_duration_never_costs_more_than_the_funds(
    a: Tariff, b: Tariff, available: Decimal, cap: int
) -> None:
    longest = maximum_duration(a, b, available, cap)
    assert 0 <= longest <= cap
    if longest:
        assert call_cost(a, b, longest, longest) <= available
        assert call_cost(a, b, longest, None) <= available


@given(tariffs, tariffs, funds, caps, st.data())
def test_a_later_answer_of_leg_b_only_lowers_the_cost(
    a: Tariff, b: Tariff, available: Decimal, cap: int, data: st.DataObject
) -> None:
    longest = maximum_duration(a, b, available, cap)
    assume(longest)
    b_offset = data.draw(st.integers(min_value=0, max_value=longest))
    assert call_cost(a, b, longest, longest - b_offset) <= available
    assert maximum_duration(a, b, available, cap, b_offset) >= longest


@given(tariffs, tariffs, funds, caps)
def test_one_second_more_than_the_maximum_duration_is_not_affordable(
    a: Tariff, b: Tariff, available: Decimal, cap: int
) -> None:
    longest = maximum_duration(a, b, available, cap)
    if longest < cap:
        assert call_cost(a, b, longest + 1, longest + 1) > available


@given(tariffs, tariffs, funds, caps, st.booleans())
def test_the_maximum_duration_covers_the_fees_and_initial_increments(
    a: Tariff, b: Tariff, available: Decimal, cap: int, is_free: bool
) -> None:
    """Connect fees and initial increments are due at once, however short the call."""
    longest = maximum_duration(a, b, available, cap, a_free_until_connected=is_free)
    blocks = sum(
        each.connect_fee + each.price_per_minute * each.initial_increment / 60 for each in (a, b)
    )
    assert not longest or available >= blocks
    assert longest or available < call_cost(a, b, 1, 1)


@given(tariffs, tariffs, funds, caps, st.booleans(), st.integers(0, 3000))
def test_the_maximum_duration_is_exact_for_a_known_answer_of_leg_b(
    a: Tariff, b: Tariff, available: Decimal, cap: int, is_free: bool, b_offset: int
) -> None:
    longest = maximum_duration(a, b, available, cap, b_offset, a_free_until_connected=is_free)

    def cost_at(seconds: int) -> Decimal:
        b_seconds = max(0, seconds - b_offset)
        return call_cost(a, b, b_seconds if is_free else seconds, b_seconds)

    assert not longest or cost_at(longest) <= available
    assert longest == cap or cost_at(longest + 1) > available


@given(tariffs, tariffs, funds, caps, st.booleans(), st.data())
def test_until_leg_b_answers_its_shortest_call_stays_affordable(
    a: Tariff, b: Tariff, available: Decimal, cap: int, is_free: bool, data: st.DataObject
) -> None:
    ringing = maximum_duration(a, b, available, cap, None, a_free_until_connected=is_free)
    assume(ringing)
    b_offset = data.draw(st.integers(min_value=0, max_value=ringing))
    a_seconds = 0 if is_free else b_offset
    assert call_cost(a, b, a_seconds, 0) <= available
    answered = maximum_duration(a, b, available, cap, b_offset, a_free_until_connected=is_free)
    assert answered >= b_offset


def test_the_maximum_duration_is_0_if_the_shortest_call_is_not_affordable() -> None:
    a, b = tariff("0.60", initial=60), tariff("0.60", fee="0.10")
    shortest = call_cost(a, b, 0, 0)
    assert maximum_duration(a, b, shortest - Decimal("0.001"), 3600) == 0
    assert maximum_duration(a, b, shortest, 3600) == 1


def test_a_free_call_lasts_as_long_as_the_cap() -> None:
    assert maximum_duration(tariff("0"), tariff("0"), Decimal(0), 3600) == 3600


def test_rejects_negative_durations() -> None:
    with pytest.raises(ValueError, match="-1 seconds"):
        cost(tariff("1"), -1)


@pytest.mark.parametrize(
    "fields", [("-1", "0", 1, 1), ("0", "-1", 1, 1), ("0", "0", 0, 1), ("0", "0", 1, 0)]
)
def test_rejects_invalid_tariffs(fields: tuple[str, str, int, int]) -> None:
    with pytest.raises(ValueError, match="A tariff has"):
        tariff(*fields)
