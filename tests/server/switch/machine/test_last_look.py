"""A call without money looks at its account once more before it is cut."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from decimal import Decimal
from itertools import count

import pytest

from django_poketalk.server.billing import ledger
from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change
from django_poketalk.server.switch.gateways.base import CallKey
from django_poketalk.server.switch.machine.call import LAST_LOOK, CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Command,
    ExtendHold,
    Fact,
    Finish,
    HoldGranted,
    HungUp,
    TimeUp,
)

from ..conftest import Service
from ..plans import A, B, plan, requested_holds, statuses

D = Decimal
START = 1000.0
WRITE = 0.05  # seconds from a request to its answer


def out_of_money(hold: str = "0.60") -> CallMachine:
    """Both legs have talked since 1000, for 0.02 per second; nothing has been requested yet."""
    machine = CallMachine(plan(hold=D(hold), hold_slice=10))
    machine.start(START)
    machine.handle(Answered(A, 1), START)
    machine.handle(Answered(B, 1), START)
    return machine


def finish(commands: list[Command]) -> Finish:
    assert isinstance(commands[-1], Finish)
    return commands[-1]


def test_the_hold_is_requested_once_more_when_it_is_used_up() -> None:
    machine = out_of_money()
    machine.handle(TimeUp(), START + 25)
    machine.handle(HoldGranted(D("0.60")), START + 25)
    assert machine.deadline == START + 30
    assert requested_holds(machine.handle(TimeUp(), START + 30)) == [D("0.80")]
    assert not machine.ended
    assert machine.handle(HoldGranted(D("0.80")), START + 30.1) == []
    assert machine.deadline == START + 35
    assert machine.cost == D("0.60")


def test_a_last_look_without_success_cuts_the_call_within_its_hold() -> None:
    machine = out_of_money()
    machine.handle(TimeUp(), START + 25)
    machine.handle(HoldGranted(D("0.60")), START + 25)
    machine.handle(TimeUp(), START + 30)
    ended = finish(machine.handle(HoldGranted(D("0.60")), START + 33))
    assert (ended.cause, ended.duration, machine.cost) == (Cause.NO_FUNDS, 30, D("0.60"))


def test_an_answer_to_an_earlier_request_is_not_the_last_look() -> None:
    machine = out_of_money()
    assert requested_holds(machine.handle(TimeUp(), START + 25)) == [D("0.80")]
    assert requested_holds(machine.handle(TimeUp(), START + 30)) == []  # one at a time
    commands = machine.handle(HoldGranted(D("0.60")), START + 31)
    assert requested_holds(commands) == [D("0.80")]
    assert finish(machine.handle(HoldGranted(D("0.60")), START + 32)).cause is Cause.NO_FUNDS


def test_a_last_look_up_to_the_longest_duration_ends_the_call_as_that() -> None:
    machine = CallMachine(plan(hold=D("0.60"), hold_slice=10, max_duration=32))
    machine.start(START)
    machine.handle(Answered(A, 1), START)
    machine.handle(Answered(B, 1), START)
    machine.handle(TimeUp(), START + 30)
    ended = finish(machine.handle(HoldGranted(D("0.64")), START + 33))
    assert (ended.cause, ended.duration, machine.cost) == (Cause.MAX_DURATION, 32, D("0.64"))


def test_a_last_look_waits_a_bounded_time_for_the_database() -> None:
    machine = out_of_money()
    machine.handle(TimeUp(), START + 25)
    machine.handle(TimeUp(), START + 30)
    assert machine.deadline == START + 30 + LAST_LOOK
    ended = finish(machine.handle(TimeUp(), START + 30 + LAST_LOOK))
    assert (ended.cause, ended.duration) == (Cause.NO_FUNDS, 30)


def test_a_person_who_hangs_up_during_the_last_look_pays_for_the_hold_only() -> None:
    machine = out_of_money()
    machine.handle(TimeUp(), START + 25)
    machine.handle(TimeUp(), START + 30)
    ended = finish(machine.handle(HungUp(B, 1), START + 33))
    assert (ended.cause, ended.cost_a + ended.cost_b) == (Cause.NORMAL, D("0.60"))


def test_an_answer_of_leg_b_during_the_last_look_stays_within_the_hold() -> None:
    with_fee = Tariff(D("0.60"), D("0.10"), 1, 1)
    machine = CallMachine(plan(hold=D("0.31"), hold_slice=10, tariff_b=with_fee))
    machine.start(START)
    machine.handle(Answered(A, 1), START)
    machine.handle(TimeUp(), START + 20)  # 0.20, and 0.11 for leg B's shortest call
    machine.handle(Answered(B, 1), START + 22)
    assert machine.cost == D("0.31")
    ended = finish(machine.handle(TimeUp(), START + 20 + LAST_LOOK))
    assert (ended.cause, ended.cost_a, ended.cost_b) == (Cause.NO_FUNDS, D("0.20"), D("0.11"))


def test_a_tick_due_during_the_last_look_is_sent_if_the_call_goes_on() -> None:
    machine = out_of_money("1.18")
    machine.handle(TimeUp(), START + 54)
    machine.handle(HoldGranted(D("1.18")), START + 54)
    machine.handle(TimeUp(), START + 59)
    assert statuses(machine.handle(TimeUp(), START + 60.5)) == []
    machine.handle(HoldGranted(D("1.38")), START + 61)
    assert machine.deadline == START + 60
    assert statuses(machine.handle(TimeUp(), START + 61)) == [7]
    assert (machine.duration, machine.cost) == (61, D("1.22"))


class Simulation:
    """Calls of one account, their machines by a simulated clock and their money in the ledger."""

    def __init__(self, *calls: Call) -> None:
        self.machines: dict[int, CallMachine] = {}
        self.ended: dict[int, tuple[float, Finish]] = {}
        self._waiting: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        for call in calls:
            Call.objects.filter(pk=call.pk).update(state=Call.State.ACTIVE, fence=1)
            machine = self.machines[call.pk] = CallMachine(
                plan(hold=call.held, max_duration=3600, hold_slice=120)
            )
            self._execute(call.pk, 0.0, machine.start(0.0))
            for side in (A, B):
                self._handle(call.pk, Answered(side, 1), 0.0)

    def at(self, second: float, work: Callable[[float], None]) -> None:
        """Do this at that second, after what is due by then."""
        heapq.heappush(self._waiting, (second, next(self._order), work))

    def hang_up(self, call: Call, second: float) -> None:
        self.at(second, lambda now: self._handle(call.pk, HungUp(B, 1), now))

    def run(self) -> None:
        for _step in range(1000):
            due = [(m.deadline, pk) for pk, m in self.machines.items() if m.deadline is not None]
            first = min(due, default=(float("inf"), 0))
            if self._waiting and self._waiting[0][0] < first[0]:
                now, _, work = heapq.heappop(self._waiting)
                work(now)
            elif due:
                self._handle(first[1], TimeUp(), first[0])
            else:
                return
        raise AssertionError("The calls do not end.")

    def _handle(self, pk: int, fact: Fact, now: float) -> None:
        self._execute(pk, now, self.machines[pk].handle(fact, now))

    def _execute(self, pk: int, now: float, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, ExtendHold):
                self.at(now + WRITE, lambda at, amount=command.amount: self._extend(pk, amount, at))
            elif isinstance(command, Finish):
                self.ended[pk] = (now, command)
                store.save([Change(CallKey(pk, 1), finish=command)])

    def _extend(self, pk: int, amount: Decimal, now: float) -> None:
        if pk not in self.ended:
            [granted] = store.save([Change(CallKey(pk, 1), requested_hold=amount)])
            assert granted is not None
            self._handle(pk, HoldGranted(granted), now)


@pytest.fixture
def poor(service: Service) -> Service:
    """The account has 2.60: 130 s of one call at 0.02 per second."""
    Account.objects.update(balance=D("2.60"))
    return service


def charged_in_all(service: Service) -> Decimal:
    service.account.refresh_from_db()
    assert service.account.held == 0
    return -sum((entry.amount for entry in service.account.entries.filter(kind="charge")), D(0))


def test_a_hold_that_another_call_frees_continues_a_call_on_the_same_money(poor: Service) -> None:
    """The second call has 0.20 for 10 s; its retry is ten seconds away when the first one ends."""
    first, second = poor.queue(hold=120), poor.queue(hold=10)
    calls = Simulation(first, second)
    calls.hang_up(first, 9.9)
    calls.run()
    assert calls.ended[first.pk][1].duration == 9
    at, ended = calls.ended[second.pk]
    assert (ended.cause, ended.duration) == (Cause.NO_FUNDS, 121)  # 2.60 less 0.18, at 0.02
    assert at == pytest.approx(121, abs=1)
    assert charged_in_all(poor) == D("2.60")


def test_two_calls_on_the_same_money_end_when_it_is_spent_to_the_last_unit(poor: Service) -> None:
    first, second = poor.queue(hold=120), poor.queue(hold=10)
    calls = Simulation(first, second)
    calls.run()
    assert {ended.cause for _, ended in calls.ended.values()} == {Cause.NO_FUNDS}
    assert charged_in_all(poor) == D("2.60")


@pytest.mark.parametrize("second", [22, 29.99, 30])
def test_a_top_up_before_the_money_is_spent_always_counts(poor: Service, second: float) -> None:
    Account.objects.update(balance=D("0.60"))
    call = poor.queue(hold=30)
    calls = Simulation(call)
    calls.at(second, lambda now: ledger.top_up(poor.account, D(1)) and None)
    calls.run()
    _, ended = calls.ended[call.pk]
    assert (ended.cause, ended.duration) == (Cause.NO_FUNDS, 80)
    assert charged_in_all(poor) == D("1.60")


def test_the_hold_of_a_call_that_ends_is_free_for_another_in_the_same_write(poor: Service) -> None:
    first, second = poor.queue(hold=10), poor.queue(hold=120)
    Call.objects.update(state=Call.State.ACTIVE, fence=1)
    ended = Finish(8, Cause.NORMAL, 1, D("0.01"), D("0.01"))  # type: ignore[arg-type]
    [granted, _] = store.save(
        [
            Change(CallKey(first.pk, 1), poor.account.pk, requested_hold=D("2.58")),
            Change(CallKey(second.pk, 1), poor.account.pk, finish=ended),
        ]
    )
    assert granted == D("2.58")
