"""The cost of a call, and how long it may last. Pure: no clock, no database, only `Decimal` and
whole seconds.

Cost is a step function of time: the connect fee and the initial increment when a leg answers, then
one subsequent increment after the other; but never less than the minimum charge. Each
leg's cost is rounded up to a thousandth of the currency, so that the charges of both legs add up
exactly to the cost in the events.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

THOUSANDTH = Decimal("0.001")
FREE = Decimal("0.000")


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of one leg. Money is in the account's currency, increments are in seconds."""

    price_per_minute: Decimal
    connect_fee: Decimal
    initial_increment: int
    subsequent_increment: int
    minimum_charge: Decimal = FREE

    def __post_init__(self) -> None:
        if min(self.price_per_minute, self.connect_fee, self.minimum_charge) < 0:
            raise ValueError(f"A tariff has a negative price: {self}.")
        if self.initial_increment < 1 or self.subsequent_increment < 1:
            raise ValueError(f"A tariff has an increment of less than 1 second: {self}.")

    @classmethod
    def of(cls, row: Any, prefix: str = "") -> Tariff:
        """The tariff in a row's fields, whose names may have a prefix. No minimum charge is 0."""
        values = {each.name: getattr(row, prefix + each.name) for each in fields(cls)}
        return cls(**{**values, "minimum_charge": values["minimum_charge"] or FREE})

    def columns(self, prefix: str = "") -> dict[str, Any]:
        """The values of such a row's fields."""
        return {prefix + each.name: getattr(self, each.name) for each in fields(self)}


def cost(tariff: Tariff, seconds: int) -> Decimal:
    """The cost of a leg `seconds` after its answer, three decimals, rounded up.

    At 0 seconds it is the connect fee plus the initial increment, due with the answer, or the
    minimum charge if that is more. (A leg that never answered costs nothing.) `ValueError` if
    `seconds` is negative.
    """
    if seconds < 0:
        raise ValueError(f"The duration of a leg is negative: {seconds} seconds.")
    sixtieths = max(
        tariff.price_per_minute * billed_seconds(tariff, seconds) + tariff.connect_fee * 60,
        tariff.minimum_charge * 60,
    )
    thousandths, rest = divmod(sixtieths * 1000, 60)
    return (thousandths + bool(rest)) * THOUSANDTH


def billed_seconds(tariff: Tariff, seconds: int) -> int:
    """The billed seconds: the initial increment, then whole subsequent increments."""
    rest = max(0, seconds - tariff.initial_increment)
    increments = -(-rest // tariff.subsequent_increment)  # rounded up
    return tariff.initial_increment + increments * tariff.subsequent_increment


def call_cost(a: Tariff, b: Tariff, a_seconds: int | None, b_seconds: int | None) -> Decimal:
    """The cost of both legs by the seconds since each answered; None for a leg that did not."""
    return (FREE if a_seconds is None else cost(a, a_seconds)) + (
        FREE if b_seconds is None else cost(b, b_seconds)
    )


def maximum_duration(
    a: Tariff,
    b: Tariff,
    funds: Decimal,
    cap: int,
    b_offset: int | None = 0,
    *,
    a_free_until_connected: bool = False,
) -> int:
    """The maximum duration in seconds from leg A's answer, 0 to `cap`, with a cost within `funds`.

    Leg B is assumed to answer `b_offset` seconds after A; 0 is the most expensive case. None: it
    has not answered. Its shortest call is always included, whenever it answers. Leg A is billed
    from its own answer, or with `a_free_until_connected` from leg B's. The result is 0 if the funds
    do not cover the connect fees, initial increments and minimum charges, which are due at once.
    """

    def cost_at(seconds: int) -> Decimal:
        b_seconds = 0 if b_offset is None else max(0, seconds - b_offset)
        return call_cost(a, b, b_seconds if a_free_until_connected else seconds, b_seconds)

    return max(0, bisect_right(range(cap + 1), funds, key=cost_at) - 1)
