"""A recovered call costs what its machine would have computed at the last sign of life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from django_poketalk.server.billing.rating import Tariff, call_cost
from django_poketalk.server.models import Call, Leg, LegABilling
from django_poketalk.server.switch.machine.call import CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import Answered, Side, TimeUp
from django_poketalk.server.switch.recovery import recovery

from ..plans import plan

BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)  # zero of the machine's clock
CAP = 45  # seconds

prices = st.sampled_from([Decimal(0), Decimal("0.60"), Decimal("1.79")])
increments = st.sampled_from([1, 6, 60])
tariffs = st.builds(Tariff, prices, prices, increments, increments)
# Whole milliseconds, so that rounding to microseconds changes nothing.
spans = st.integers(1_000, 29_000).map(lambda milliseconds: milliseconds / 1000)


def leg(side: Side, machine: CallMachine, tariff: Tariff) -> Leg:
    """The leg as last written."""
    [answered] = [attempt.answered for attempt in machine.attempts if attempt.side is side]
    assert answered is not None
    return Leg(
        side=side,
        answered_at=BEGAN + timedelta(seconds=answered),
        price_per_minute=tariff.price_per_minute,
        connect_fee=tariff.connect_fee,
        initial_increment=tariff.initial_increment,
        subsequent_increment=tariff.subsequent_increment,
        duration=machine.seconds(side) or 0,
    )


@given(
    a=tariffs,
    b=tariffs,
    extra=st.decimals(min_value=0, max_value=2, places=3),
    is_free=st.booleans(),
    rings=spans,
    written=spans,
    lived=spans,
)
@settings(deadline=None)
def test_recovery_charges_the_same_seconds_as_the_machine(
    a: Tariff,
    b: Tariff,
    extra: Decimal,
    is_free: bool,
    rings: float,
    written: float,
    lived: float,
) -> None:
    hold = call_cost(a, b, 0, 0) + extra
    machine = CallMachine(
        plan(tariff_a=a, tariff_b=b, hold=hold, max_duration=CAP, a_free_until_connected=is_free)
    )
    machine.start(0.0)
    machine.handle(Answered(Side.A, 1), 0.25)
    machine.handle(Answered(Side.B, 1), 0.25 + rings)
    machine.handle(TimeUp(), 0.25 + rings + written)
    assume(not machine.ended)
    billed = LegABilling.CONNECTED if is_free else LegABilling.ANSWER
    call = Call(held=machine.hold, duration_cap=CAP, leg_a_billed=billed)
    legs = [leg(Side.A, machine, a), leg(Side.B, machine, b)]

    died = 0.25 + rings + written + lived
    known = recovery.known_seconds(call, legs, BEGAN + timedelta(seconds=died))

    machine.handle(TimeUp(), died)
    assert known == {side: machine.seconds(side) for side in Side}
