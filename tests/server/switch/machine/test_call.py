"""Examples of the rules of a call."""

from __future__ import annotations

from decimal import Decimal

import pytest

from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.switch.machine.call import LAST_LOOK, CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Bridge,
    Cause,
    ChannelsReserved,
    Command,
    Failed,
    Finish,
    HangUp,
    HangUpRequested,
    HoldGranted,
    HungUp,
    Plan,
    ReserveChannels,
    Ringing,
    Route,
    SendEvent,
    TimeUp,
)

from ..plans import A, B, dialed, hung_up, plan, requested_holds, statuses

START = 1000.0


def ringing_a(call_plan: Plan | None = None) -> CallMachine:
    machine = CallMachine(call_plan or plan())
    machine.start(START)
    return machine


def ringing_b(call_plan: Plan | None = None) -> CallMachine:
    """Leg A answered at 1000; leg B is ringing."""
    machine = ringing_a(call_plan)
    machine.handle(Answered(A, 1), START)
    return machine


def talking(call_plan: Plan | None = None) -> CallMachine:
    """Leg A answered at 1000, leg B at 1005."""
    machine = ringing_b(call_plan)
    machine.handle(Answered(B, 1), START + 5)
    return machine


def finish(commands: list[Command]) -> Finish:
    assert isinstance(commands[-1], Finish)
    return commands[-1]


def sent(commands: list[Command]) -> list[tuple[int, int | None, Decimal | None]]:
    return [
        (c.event.status.value, c.event.duration, c.event.cost)
        for c in commands
        if isinstance(c, SendEvent)
    ]


def test_an_answered_call_sends_statuses_1_3_5_7_8() -> None:
    machine = CallMachine(plan())
    commands = machine.start(START)
    assert statuses(commands) == [1]
    assert dialed(commands) == [(A, 1, 1)]

    machine.handle(Ringing(A, 1), START + 1)
    commands = machine.handle(Answered(A, 1), START + 4)
    assert statuses(commands) == [3, 5]
    assert dialed(commands) == [(B, 1, 1)]

    commands = machine.handle(Answered(B, 1), START + 10)
    assert statuses(commands) == [7]
    assert Bridge(1, 1) in commands

    commands = machine.handle(HungUp(B, 1), START + 34.9)
    assert sent(commands) == [(8, 30, Decimal("0.540"))]  # 30 s of A, 24 s of B
    assert HangUp(A, 1, Cause.OTHER_LEG) in commands
    assert finish(commands).cause is Cause.NORMAL
    assert (finish(commands).cost_a, finish(commands).cost_b) == (
        Decimal("0.300"),
        Decimal("0.240"),
    )


def test_nothing_is_charged_before_leg_a_answers() -> None:
    machine = ringing_a()
    commands = machine.handle(Failed(A, 1, Cause.BUSY), START + 20)
    assert sent(commands) == [(2, 0, Decimal("0.000"))]
    assert finish(commands).cause is Cause.BUSY


def test_a_phone_is_hung_up_at_the_ring_timeout() -> None:
    machine = ringing_a(plan(routes_a=(Route(1, "simulated", 25), Route(2, "simulated", 25))))
    assert machine.deadline == START + 25
    commands = machine.handle(TimeUp(), START + 25)
    assert statuses(commands) == [2]
    assert commands[0] == HangUp(A, 1, Cause.NO_ANSWER)


def test_an_unanswered_leg_b_ends_with_status_6_and_hangs_up_leg_a() -> None:
    machine = ringing_b()
    commands = machine.handle(TimeUp(), START + 30)
    assert statuses(commands) == [6]
    assert hung_up(commands) == {A, B}


@pytest.mark.parametrize("cause", [Cause.BUSY, Cause.DECLINED, Cause.UNALLOCATED])
def test_a_failed_leg_b_ends_with_status_6_and_no_status_4(cause: Cause) -> None:
    machine = ringing_b()
    commands = machine.handle(Failed(B, 1, cause), START + 3)
    assert statuses(commands) == [6]
    assert HangUp(A, 1, Cause.OTHER_LEG) in commands
    assert machine.handle(HungUp(A, 1), START + 4) == []


def test_leg_b_stops_ringing_when_leg_a_hangs_up() -> None:
    machine = ringing_b()
    commands = machine.handle(HungUp(A, 1), START + 3)
    assert statuses(commands) == [4]
    assert HangUp(B, 1, Cause.OTHER_LEG) in commands


def test_the_next_gateway_is_tried_if_one_is_down() -> None:
    machine = ringing_a()
    commands = machine.handle(Failed(A, 1, Cause.GATEWAY_DOWN, transport=True), START + 1)
    assert dialed(commands) == [(A, 2, 2)]
    assert statuses(commands) == []
    commands = machine.handle(Failed(A, 2, Cause.GATEWAY_DOWN, transport=True), START + 2)
    assert statuses(commands) == [2]
    assert finish(commands).cause is Cause.GATEWAY_DOWN


def test_a_busy_phone_is_not_tried_through_another_gateway() -> None:
    commands = ringing_a().handle(Failed(A, 1, Cause.BUSY), START + 1)
    assert dialed(commands) == []


def test_a_phone_that_has_rung_is_not_tried_again() -> None:
    machine = ringing_a()
    machine.handle(Ringing(A, 1), START + 1)
    commands = machine.handle(Failed(A, 1, Cause.GATEWAY_DOWN, transport=True), START + 2)
    assert statuses(commands) == [2]
    assert dialed(commands) == []


def test_late_facts_about_an_earlier_attempt_are_ignored() -> None:
    machine = ringing_a()
    machine.handle(Failed(A, 1, Cause.GATEWAY_DOWN, transport=True), START + 1)
    assert machine.handle(Answered(A, 1), START + 2) == []
    assert statuses(machine.handle(Answered(A, 2), START + 3)) == [3, 5]


@pytest.mark.parametrize("routes_b", [(), (Route(3, "sip", 30),)])
def test_a_call_without_a_gateway_for_leg_b_rings_nobody(routes_b: tuple[Route, ...]) -> None:
    commands = CallMachine(plan(routes_b=routes_b)).start(START)
    assert (dialed(commands), statuses(commands)) == ([], [1, 2])
    assert finish(commands).cause is Cause.NO_GATEWAY


def test_failover_reserves_channels_before_it_dials() -> None:
    one, two = Route(1, "sip", 30, max_channels=2), Route(2, "sip", 30, max_channels=2)
    machine = ringing_a(plan(routes_a=(one, two), routes_b=(one, two)))
    assert machine.gateways_in_use == [1, 1]

    commands = machine.handle(Failed(A, 1, Cause.GATEWAY_DOWN, transport=True), START)
    assert commands == [ReserveChannels(((two, one), (two, two)))]

    assert dialed(machine.handle(ChannelsReserved((two, two)), START)) == [(A, 2, 2)]
    assert machine.gateways_in_use == [2, 2]
    assert dialed(machine.handle(Answered(A, 2), START)) == [(B, 1, 2)]

    commands = machine.handle(Failed(B, 1, Cause.GATEWAY_DOWN, transport=True), START)
    assert commands == [ReserveChannels(((two, one),))]
    commands = machine.handle(ChannelsReserved(None), START)
    assert statuses(commands) == [6]
    assert finish(commands).cause is Cause.NO_CHANNEL
    assert machine.handle(ChannelsReserved((two, one)), START) == []


def test_leg_b_uses_only_the_kind_of_gateway_that_leg_a_uses() -> None:
    """Only a gateway of the same kind can bridge the legs."""
    mixed = (Route(7, "asterisk", 30), Route(8, "simulated", 30), Route(9, "asterisk", 30))
    machine = ringing_a(plan(routes_a=mixed[:1], routes_b=(*mixed, Route(5, "sip", 30))))
    commands = machine.handle(Answered(A, 1), START)
    assert dialed(commands) == [(B, 1, 7)]
    commands = machine.handle(Failed(B, 1, Cause.GATEWAY_DOWN, transport=True), START + 1)
    assert dialed(commands) == [(B, 2, 9)]
    commands = machine.handle(Failed(B, 2, Cause.GATEWAY_DOWN, transport=True), START + 1)
    assert (dialed(commands), statuses(commands)) == ([], [6])


@pytest.mark.parametrize("refused", [Cause.QUEUE_TIMEOUT, Cause.HANG_UP_REQUESTED])
def test_a_refused_call_rings_nobody_and_sends_statuses_1_2(refused: Cause) -> None:
    commands = CallMachine(plan()).start(START, refused)
    assert statuses(commands) == [1, 2]
    assert dialed(commands) == []
    assert finish(commands).cause is refused


def test_a_hold_below_the_shortest_call_rings_nobody() -> None:
    commands = CallMachine(plan(hold=Decimal("0.019"))).start(START)
    assert dialed(commands) == []
    assert finish(commands).cause is Cause.NO_FUNDS


@pytest.mark.parametrize(
    ("machine", "final"), [(ringing_a, 2), (ringing_b, 4), (talking, 8)], ids=["1", "5", "7"]
)
@pytest.mark.parametrize("cause", [Cause.VETOED, Cause.HANG_UP_REQUESTED, Cause.SWITCH_STOPPED])
def test_a_requested_hang_up_ends_both_legs_with_the_status_of_the_phase(
    machine: object, final: int, cause: Cause
) -> None:
    call = machine()  # type: ignore[operator]
    commands = call.handle(HangUpRequested(cause), START + 8)
    assert statuses(commands) == [final]
    assert hung_up(commands) == {attempt.side for attempt in call.attempts}
    assert finish(commands).cause is cause
    assert call.handle(HangUpRequested(cause), START + 9) == []


def test_ticks_are_sent_every_60_seconds_of_leg_a() -> None:
    machine = ringing_b(plan(routes_b=(Route(1, "simulated", 100),)))
    assert machine.deadline == START + 60
    assert sent(machine.handle(TimeUp(), START + 60)) == [(5, 60, Decimal("0.600"))]
    assert statuses(machine.handle(Answered(B, 1), START + 70)) == [7]
    assert machine.deadline == START + 120
    assert sent(machine.handle(TimeUp(), START + 120)) == [(7, 120, Decimal("1.700"))]
    assert machine.deadline == START + 180


def test_ticks_missed_by_a_stalled_switch_are_not_sent_later() -> None:
    machine = talking()
    assert sent(machine.handle(TimeUp(), START + 200))[0][:2] == (7, 200)
    assert machine.deadline == START + 240


def test_a_call_ends_at_its_maximum_duration_and_is_not_billed_for_more() -> None:
    machine = talking(plan(max_duration=50))
    assert machine.deadline == START + 50
    commands = machine.handle(TimeUp(), START + 53)
    assert sent(commands) == [(8, 50, Decimal("0.950"))]
    assert finish(commands).cause is Cause.MAX_DURATION


def test_the_maximum_duration_includes_the_ringing_of_leg_b() -> None:
    machine = ringing_b(plan(max_duration=20))
    commands = machine.handle(TimeUp(), START + 20)
    assert statuses(commands) == [4]
    assert hung_up(commands) == {A, B}


def test_leg_b_rings_only_while_the_hold_covers_leg_a_and_its_own_shortest_call() -> None:
    machine = ringing_b(plan(hold=Decimal("0.24"), hold_slice=1))  # 23 s of A, 1 s of B
    assert requested_holds(machine.handle(TimeUp(), START + 22.4)) == []
    assert requested_holds(machine.handle(TimeUp(), START + 22.5)) == [Decimal("0.25")]
    machine.handle(TimeUp(), START + 23)
    commands = machine.handle(TimeUp(), START + 23 + LAST_LOOK)
    assert statuses(commands) == [4]
    assert finish(commands).cause is Cause.NO_FUNDS


def test_a_larger_hold_is_requested_when_half_a_slice_is_left() -> None:
    machine = ringing_b(plan(hold=Decimal("2.4")))  # 120 s of both legs
    machine.handle(Answered(B, 1), START)
    assert requested_holds(machine.handle(TimeUp(), START + 59)) == []
    assert requested_holds(machine.handle(TimeUp(), START + 60)) == [Decimal("4.8")]
    assert requested_holds(machine.handle(TimeUp(), START + 61)) == []
    machine.handle(HoldGranted(Decimal("4.8")), START + 62)
    assert machine.deadline == START + 120  # a tick
    assert requested_holds(machine.handle(TimeUp(), START + 180)) == [Decimal("7.2")]


def test_a_call_ends_when_its_hold_cannot_be_extended_and_runs_out() -> None:
    machine = ringing_b(plan(hold=Decimal("2.4")))
    machine.handle(Answered(B, 1), START)
    assert requested_holds(machine.handle(TimeUp(), START + 60)) == [Decimal("4.8")]
    machine.handle(HoldGranted(Decimal("2.5")), START + 61)
    assert requested_holds(machine.handle(TimeUp(), START + 70)) == []
    assert requested_holds(machine.handle(TimeUp(), START + 71)) == [Decimal("4.9")]
    machine.handle(TimeUp(), START + 125)
    commands = machine.handle(TimeUp(), START + 125 + LAST_LOOK)
    assert sent(commands) == [(8, 125, Decimal("2.500"))]
    assert finish(commands).cause is Cause.NO_FUNDS


def test_a_call_ends_with_its_hold_if_the_extension_is_late() -> None:
    machine = ringing_b(plan(hold=Decimal("2.4")))
    machine.handle(Answered(B, 1), START)
    machine.handle(TimeUp(), START + 60)
    machine.handle(TimeUp(), START + 120)
    commands = machine.handle(HoldGranted(Decimal(100)), START + 600)
    assert sent(commands) == [(8, 120, Decimal("2.400"))]


def test_a_free_call_requests_no_hold() -> None:
    free = Tariff(Decimal(0), Decimal(0), 1, 1)
    machine = talking(plan(tariff_a=free, tariff_b=free, hold=Decimal(0)))
    assert requested_holds(machine.handle(TimeUp(), START + 3000)) == []


def test_time_never_goes_backward() -> None:
    machine = talking()
    machine.handle(TimeUp(), START + 60)
    machine.handle(Ringing(B, 1), START - 500)
    assert machine.duration == 60
