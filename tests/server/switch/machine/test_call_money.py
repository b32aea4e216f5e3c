"""What a call's money lets it do: from when a leg is paid for, and how long the call may last."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.switch.machine.call import CallMachine
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

from ..plans import PER_SECOND, A, B, plan, statuses, wanted

START = 1000.0
D = Decimal


def free_plan(**changes: object) -> Plan:
    """As the provider has it that charges leg A only while both are connected."""
    return plan(a_free_until_connected=True, **changes)


def ringing_b(call_plan: Plan) -> CallMachine:
    """Leg A answered at 1000, leg B rings."""
    machine = CallMachine(call_plan)
    machine.start(START)
    machine.handle(Answered(A, 1), START)
    return machine


def told(commands: list[Command]) -> list[tuple[int, int | None, Decimal | None]]:
    events = [command.event for command in commands if isinstance(command, SendEvent)]
    return [(event.status.value, event.duration, event.cost) for event in events]


def finish(commands: list[Command]) -> Finish:
    assert isinstance(commands[-1], Finish)
    return commands[-1]


# Leg A, by provider


def test_leg_a_is_paid_for_from_its_own_answer_on() -> None:
    machine = ringing_b(plan())
    assert told(machine.handle(Answered(B, 1), START + 20)) == [(7, 20, D("0.21"))]
    assert told(machine.handle(HungUp(B, 1), START + 50)) == [(8, 50, D("0.80"))]
    assert (machine.leg_cost(A), machine.leg_cost(B)) == (D("0.50"), D("0.30"))


def test_or_only_from_when_both_are_connected() -> None:
    machine = ringing_b(free_plan())
    assert told(machine.handle(TimeUp(), START + 19)) == []
    assert machine.cost == 0
    assert told(machine.handle(Answered(B, 1), START + 20)) == [(7, 20, D("0.02"))]
    commands = machine.handle(HungUp(B, 1), START + 50)
    assert told(commands) == [(8, 50, D("0.60"))]
    assert (finish(commands).cost_a, finish(commands).cost_b) == (D("0.30"), D("0.30"))


@pytest.mark.parametrize(("is_free", "cost"), [(False, "0.25"), (True, "0")])
def test_what_leg_a_costs_when_leg_b_fails(is_free: bool, cost: str) -> None:
    machine = ringing_b(plan(a_free_until_connected=is_free))
    commands = machine.handle(Failed(B, 1, Cause.BUSY), START + 25)
    assert told(commands) == [(6, 25, D(cost))]
    assert (finish(commands).cost_a, finish(commands).cost_b) == (D(cost), 0)


def test_leg_a_that_costs_nothing_yet_asks_for_no_hold_and_is_not_cut_for_want_of_money() -> None:
    routes = tuple(replace(route, ring_timeout=500) for route in plan().routes_b)
    machine = ringing_b(free_plan(hold=D("0.24"), hold_slice=12, routes_b=routes))
    for second in range(1, 400):
        assert wanted(machine.handle(TimeUp(), START + second)) == []
    assert not machine.ended
    commands = machine.handle(Answered(B, 1), START + 400) + machine.handle(TimeUp(), START + 500)
    assert told(commands)[-1] == (8, 412, D("0.24"))


# How long it may last


@pytest.mark.parametrize(("is_free", "lasts"), [(False, 70), (True, 80)])
def test_the_maximum_duration_is_reckoned_anew_when_leg_b_answers(
    is_free: bool, lasts: int
) -> None:
    """What was held for 60 s of both legs pays for more, as leg B has not cost anything before."""
    machine = ringing_b(plan(hold=D("1.20"), granted=60, a_free_until_connected=is_free))
    assert machine.max_duration == 60
    machine.handle(Answered(B, 1), START + 20)
    assert machine.max_duration == lasts
    machine.handle(TimeUp(), START + lasts - 0.5)
    assert not machine.ended
    commands = machine.handle(TimeUp(), START + lasts)
    assert told(commands) == [(8, lasts, D("1.20"))]
    assert finish(commands).cause is Cause.NO_FUNDS


def test_no_money_makes_a_call_longer_than_service_and_account_allow() -> None:
    machine = ringing_b(plan(hold=D("100"), max_duration=65, granted=60))
    machine.handle(Answered(B, 1), START + 20)
    assert machine.max_duration == 65
    assert finish(machine.handle(TimeUp(), START + 65)).cause is Cause.MAX_DURATION


def test_a_dear_leg_b_is_given_a_slice_as_soon_as_it_answers() -> None:
    """Leg A alone would have been paid for much longer."""
    dear = Tariff(D("60"), D(0), 1, 1)  # 1 a second
    routes = tuple(replace(route, ring_timeout=5000) for route in plan().routes_b)
    machine = ringing_b(plan(tariff_b=dear, hold=D("121.20"), routes_b=routes))
    for second in range(1, 2000):
        assert wanted(machine.handle(TimeUp(), START + second)) == []
    machine.handle(Answered(B, 1), START + 2000)  # 20.00 for A by now, 101.20 left: 100 s
    assert machine.deadline == START + 2040  # half a slice before that
    assert wanted(machine.handle(TimeUp(), START + 2040)) == [D("22.20") + D("220.00")]


def test_before_leg_b_answers_the_hold_is_extended_so_that_it_can_begin() -> None:
    machine = ringing_b(plan(hold=D("0.30"), hold_slice=10))  # 29 s of A, the first second of B
    assert machine.deadline == START + 24
    assert wanted(machine.handle(TimeUp(), START + 24)) == [D("0.39") + D("0.10")]
    machine.handle(HoldGranted(D("0.49")), START + 24)
    machine.handle(Answered(B, 1), START + 29)
    assert machine.cost == D("0.30")
    assert not machine.ended


def test_more_is_asked_for_at_once_where_a_full_grant_does_not_last() -> None:
    machine = ringing_b(plan(hold=D("0.30"), hold_slice=10))
    machine.handle(TimeUp(), START + 24)  # asks
    machine.handle(Answered(B, 1), START + 28)  # 0.28 + 0.01: one second more is paid for
    machine.handle(HoldGranted(D("0.49")), START + 28)
    assert machine.deadline == START + 33.0  # not ten seconds later
    assert wanted(machine.handle(TimeUp(), START + 33.0)) == [D("0.48") + D("0.20")]


def test_a_call_is_not_begun_when_its_first_blocks_cannot_be_paid() -> None:
    block = Tariff(D("0.60"), D("0.05"), 60, 60)
    for is_free in (False, True):
        call_plan = plan(
            tariff_a=block, tariff_b=PER_SECOND, hold=D("0.659"), a_free_until_connected=is_free
        )
        machine = CallMachine(call_plan)
        commands = machine.start(START)
        assert statuses(commands) == [1, 2]
        assert finish(commands).cause is Cause.NO_FUNDS
