"""Money in a call: when the charge of a leg starts, and how long the call may last."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.switch.machine.call import LAST_LOOK, CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Command,
    Failed,
    Finish,
    HoldGranted,
    HungUp,
    Plan,
    SendEvent,
    TimeUp,
)

from ..plans import PER_SECOND, A, B, plan, requested_holds, statuses

START = 1000.0
D = Decimal


def free_plan(**changes: object) -> Plan:
    """The plan of a provider that charges leg A only while both legs are connected."""
    return plan(a_free_until_connected=True, **changes)


def ringing_b(call_plan: Plan) -> CallMachine:
    """Leg A answered at 1000; leg B is ringing."""
    machine = CallMachine(call_plan)
    machine.start(START)
    machine.handle(Answered(A, 1), START)
    return machine


def sent(commands: list[Command]) -> list[tuple[int, int | None, Decimal | None]]:
    events = [command.event for command in commands if isinstance(command, SendEvent)]
    return [(event.status.value, event.duration, event.cost) for event in events]


def finish(commands: list[Command]) -> Finish:
    assert isinstance(commands[-1], Finish)
    return commands[-1]


# The charge of leg A


def test_leg_a_is_charged_from_its_own_answer() -> None:
    machine = ringing_b(plan())
    assert sent(machine.handle(Answered(B, 1), START + 20)) == [(7, 20, D("0.21"))]
    assert sent(machine.handle(HungUp(B, 1), START + 50)) == [(8, 50, D("0.80"))]
    assert (machine.leg_cost(A), machine.leg_cost(B)) == (D("0.50"), D("0.30"))


def test_leg_a_can_be_free_until_both_legs_are_connected() -> None:
    machine = ringing_b(free_plan())
    assert sent(machine.handle(TimeUp(), START + 19)) == []
    assert machine.cost == 0
    assert sent(machine.handle(Answered(B, 1), START + 20)) == [(7, 20, D("0.02"))]
    commands = machine.handle(HungUp(B, 1), START + 50)
    assert sent(commands) == [(8, 50, D("0.60"))]
    assert (finish(commands).cost_a, finish(commands).cost_b) == (D("0.30"), D("0.30"))


@pytest.mark.parametrize(("is_free", "cost"), [(False, "0.25"), (True, "0")])
def test_the_cost_of_leg_a_if_leg_b_fails(is_free: bool, cost: str) -> None:
    machine = ringing_b(plan(a_free_until_connected=is_free))
    commands = machine.handle(Failed(B, 1, Cause.BUSY), START + 25)
    assert sent(commands) == [(6, 25, D(cost))]
    assert (finish(commands).cost_a, finish(commands).cost_b) == (D(cost), 0)


def test_a_leg_a_that_is_still_free_requests_no_hold_and_is_not_ended() -> None:
    routes = tuple(replace(route, ring_timeout=500) for route in plan().routes_b)
    machine = ringing_b(free_plan(hold=D("0.24"), hold_slice=12, routes_b=routes))
    for second in range(1, 400):
        assert requested_holds(machine.handle(TimeUp(), START + second)) == []
    assert not machine.ended
    commands = machine.handle(Answered(B, 1), START + 400) + machine.handle(TimeUp(), START + 500)
    commands += machine.handle(HoldGranted(D("0.24")), START + 500)
    assert sent(commands)[-1] == (8, 412, D("0.24"))


# The duration


@pytest.mark.parametrize(("is_free", "lasts"), [(False, 70), (True, 80)])
def test_the_maximum_duration_is_recomputed_when_leg_b_answers(is_free: bool, lasts: int) -> None:
    """A hold for 60 s of both legs lasts longer, since leg B cost nothing before its answer."""
    machine = ringing_b(plan(hold=D("1.20"), granted=60, a_free_until_connected=is_free))
    assert machine.max_duration == 60
    machine.handle(Answered(B, 1), START + 20)
    assert machine.max_duration == lasts
    machine.handle(TimeUp(), START + lasts - 0.5)
    assert not machine.ended
    machine.handle(TimeUp(), START + lasts)
    commands = machine.handle(TimeUp(), START + lasts + LAST_LOOK)
    assert sent(commands) == [(8, lasts, D("1.20"))]
    assert finish(commands).cause is Cause.NO_FUNDS


def test_funds_do_not_extend_a_call_above_the_limits_of_service_and_account() -> None:
    machine = ringing_b(plan(hold=D("100"), max_duration=65, granted=60))
    machine.handle(Answered(B, 1), START + 20)
    assert machine.max_duration == 65
    assert finish(machine.handle(TimeUp(), START + 65)).cause is Cause.MAX_DURATION


def test_the_hold_is_extended_early_if_leg_b_is_expensive() -> None:
    """The hold would have covered leg A alone for much longer."""
    expensive = Tariff(D("60"), D(0), 1, 1)  # 1 per second
    routes = tuple(replace(route, ring_timeout=5000) for route in plan().routes_b)
    machine = ringing_b(plan(tariff_b=expensive, hold=D("121.20"), routes_b=routes))
    for second in range(1, 2000):
        assert requested_holds(machine.handle(TimeUp(), START + second)) == []
    machine.handle(Answered(B, 1), START + 2000)  # 20.00 for A by now, 101.20 left: 100 s
    assert machine.deadline == START + 2040  # half a slice before that
    assert requested_holds(machine.handle(TimeUp(), START + 2040)) == [D("22.20") + D("220.00")]


def test_the_hold_is_extended_before_leg_b_answers() -> None:
    machine = ringing_b(plan(hold=D("0.30"), hold_slice=10))  # 29 s of A, the first second of B
    assert machine.deadline == START + 24
    assert requested_holds(machine.handle(TimeUp(), START + 24)) == [D("0.39") + D("0.10")]
    machine.handle(HoldGranted(D("0.49")), START + 24)
    machine.handle(Answered(B, 1), START + 29)
    assert machine.cost == D("0.30")
    assert not machine.ended


def test_another_extension_is_requested_at_once_if_a_full_one_is_too_small() -> None:
    machine = ringing_b(plan(hold=D("0.30"), hold_slice=10))
    machine.handle(TimeUp(), START + 24)  # requests an extension
    machine.handle(Answered(B, 1), START + 28)  # costs 0.28 + 0.01: the hold covers one more second
    machine.handle(HoldGranted(D("0.49")), START + 28)
    assert machine.deadline == START + 33.0  # not ten seconds later
    assert requested_holds(machine.handle(TimeUp(), START + 33.0)) == [D("0.48") + D("0.20")]


def test_a_call_that_cannot_pay_for_its_first_increments_is_not_started() -> None:
    block = Tariff(D("0.60"), D("0.05"), 60, 60)
    for is_free in (False, True):
        call_plan = plan(
            tariff_a=block, tariff_b=PER_SECOND, hold=D("0.659"), a_free_until_connected=is_free
        )
        machine = CallMachine(call_plan)
        commands = machine.start(START)
        assert statuses(commands) == [1, 2]
        assert finish(commands).cause is Cause.NO_FUNDS


@pytest.mark.parametrize(("answered", "seconds"), [(10.01, 50), (10.99, 49)])
def test_the_seconds_of_leg_b_agree_with_its_times(answered: float, seconds: int) -> None:
    """The timer that ends the call comes a little later than the longest call ends."""
    machine = ringing_b(plan(max_duration=60))
    machine.handle(Answered(B, 1), START + answered)

    commands = machine.handle(TimeUp(), START + 60.02)

    assert finish(commands).cause is Cause.MAX_DURATION
    [leg_b] = [attempt for attempt in machine.attempts if attempt.side is B]
    assert leg_b.ended == START + 60.02
    assert (machine.seconds(A), machine.seconds(B)) == (60, seconds)
    assert int(leg_b.ended - (leg_b.answered or 0)) == seconds
