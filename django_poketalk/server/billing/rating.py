"""What a call costs, and how long it may last. Pure: no clock, no database, `Decimal` and whole
seconds only.

Cost is a step function of time: a connect fee and an initial increment as soon as a leg answers,
then one subsequent increment after the other. Each leg's cost is rounded up to a thousandth of the
currency, so what is charged for the two legs adds up exactly to what the events report.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal

THOUSANDTH = Decimal("0.001")
FREE = Decimal("0.000")


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one leg costs. Money is in the account's currency, increments are seconds."""

    price_per_minute: Decimal
    connect_fee: Decimal
    initial_increment: int
    subsequent_increment: int

    def __post_init__(self) -> None:
        if self.price_per_minute < 0 or self.connect_fee < 0:
            raise ValueError(f"A tariff has no negative price: {self}.")
        if self.initial_increment < 1 or self.subsequent_increment < 1:
            raise ValueError(f"A tariff's increments are at least 1 second: {self}.")


def cost(tariff: Tariff, seconds: int) -> Decimal:
    """The cost of a leg `seconds` after its answer, three decimals, rounded up.

    At 0 seconds it is the connect fee plus the initial increment, since an answer is billed at
    once. A leg that was never answered costs nothing and is not asked about here. `ValueError` when
    `seconds` is negative.
    """
    if seconds < 0:
        raise ValueError(f"A leg cannot have lasted {seconds} seconds.")
    thousandths, rest = divmod(
        (tariff.price_per_minute * billed_seconds(tariff, seconds) + tariff.connect_fee * 60)
        * 1000,
        60,
    )
    return (thousandths + bool(rest)) * THOUSANDTH


def billed_seconds(tariff: Tariff, seconds: int) -> int:
    """The seconds that are paid for: the initial increment, then whole subsequent increments."""
    beyond = max(0, seconds - tariff.initial_increment)
    increments = -(-beyond // tariff.subsequent_increment)
    return tariff.initial_increment + increments * tariff.subsequent_increment


def call_cost(a: Tariff, b: Tariff, a_seconds: int | None, b_seconds: int | None) -> Decimal:
    """The cost of both legs by the seconds since each answered; None for a leg that has not."""
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
    """The most seconds since leg A's answer, 0 to `cap`, that a call may last for its cost to stay
    within `funds`.

    Leg B is taken to answer `b_offset` seconds after A; 0 is the dearest case. With None it has not
    answered, and whenever it does there is enough for its shortest call. Leg A is paid for from its
    own answer on, or else, `a_free_until_connected`, from leg B's. 0 when not even the shortest
    call can be paid: connect fees and initial increments are due at once.
    """

    def cost_at(seconds: int) -> Decimal:
        if b_offset is None:
            b_seconds: int | None = 0
        else:
            b_seconds = seconds - b_offset if seconds >= b_offset else None
        return call_cost(a, b, b_seconds if a_free_until_connected else seconds, b_seconds)

    return max(0, bisect_right(range(cap + 1), funds, key=cost_at) - 1)
