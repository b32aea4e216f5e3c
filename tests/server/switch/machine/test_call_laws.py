"""Properties of every call, for any facts in any order."""

from __future__ import annotations

import itertools
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.billing.rating import Tariff, call_cost, cost
from django_poketalk.server.switch.machine.call import CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Bridge,
    Cause,
    Command,
    Dial,
    ExtendHold,
    Fact,
    Failed,
    Finish,
    HangUp,
    HangUpRequested,
    HoldGranted,
    HungUp,
    Plan,
    Ringing,
    Route,
    SendEvent,
    Side,
    TimeUp,
)

prices = st.decimals(min_value=0, max_value=5, places=4)
increments = st.sampled_from([1, 6, 30, 60])
tariffs = st.builds(Tariff, prices, prices, increments, increments)
kinds = st.sampled_from(["simulated", "simulated", "simulated", "sip"])
routes = st.lists(st.tuples(kinds, st.integers(1, 90)), max_size=3).map(
    lambda found: tuple(
        Route(number, kind, timeout) for number, (kind, timeout) in enumerate(found, 1)
    )
)
plans = st.builds(
    Plan,
    webcallid=st.just("web1"),
    tariff_a=tariffs,
    tariff_b=tariffs,
    routes_a=routes,
    routes_b=routes,
    max_duration=st.one_of(st.integers(1, 150), st.integers(1, 2000)),
    hold=st.decimals(min_value=0, max_value=60, places=3),
    hold_slice=st.sampled_from([1, 30, 120]),
    event_interval=st.just(60),
    granted=st.integers(0, 60),
    a_free_until_connected=st.booleans(),
)
sides = st.sampled_from(Side)
attempts = st.integers(1, 3)
causes = st.sampled_from([cause for cause in Cause if cause is not Cause.NO_FUNDS])
waits = st.one_of(st.just(0.0), st.floats(0, 10), st.floats(0, 400))

# The statuses that may follow each status (protocol, EventURL). Repeats of 3, 5 and 7 are ticks.
MAY_FOLLOW: dict[CallStatus | None, set[int]] = {
    None: {1},
    CallStatus.A_INITIATED: {2, 3},
    CallStatus.A_FAILED: set(),
    CallStatus.A_ANSWERED: {3, 4, 5},
    CallStatus.A_DISCONNECTED: set(),
    CallStatus.B_INITIATED: {4, 5, 6, 7},
    CallStatus.B_FAILED: set(),
    CallStatus.B_ANSWERED: {7, 8},
    CallStatus.AB_DISCONNECTED: set(),
}


class AnyCall(RuleBasedStateMachine):
    """A machine that gets any fact at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Command] = []
        self.now = 0.0

    @initialize(
        plan=plans,
        begin=st.floats(0, 1e9),
        refused=st.sampled_from([None, None, None, None, Cause.NO_RATE]),
        steps_before_end=st.integers(0, 25),
        answers=st.lists(st.floats(0, 40), max_size=2),
    )
    def begin(
        self,
        plan: Plan,
        begin: float,
        refused: Cause | None,
        steps_before_end: int,
        answers: list[float],
    ) -> None:
        self.machine = CallMachine(plan)
        self.now = begin
        self.steps_before_end = steps_before_end  # so that some calls last long
        self.costs: list[Decimal] = []
        self.has_ended = False
        self.collect(self.machine.start(self.now, refused))
        for wait in answers:
            self.answer_ringing_legs(wait)

    def collect(self, commands: list[Command]) -> None:
        assert not (self.has_ended and commands), f"after the end: {commands}"
        self.commands += commands
        self.costs.append(self.machine.cost)
        self.has_ended = self.machine.ended

    def handle(self, fact: Fact) -> None:
        self.steps_before_end -= 1
        self.collect(self.machine.handle(fact, self.now))

    @rule(wait=waits)
    def wait(self, wait: float) -> None:
        self.now += wait
        self.handle(TimeUp())

    @precondition(lambda self: self.machine.deadline is not None)
    @rule(late=st.sampled_from([0.0, 0.0, 0.02, 7.0]))
    def reach_the_deadline(self, late: float) -> None:
        deadline = self.machine.deadline
        assert deadline is not None
        self.now = max(self.now, deadline) + late
        self.handle(TimeUp())
        following = self.machine.deadline
        assert following is None or following > deadline

    @rule(side=sides, attempt=attempts, wait=waits)
    def ring(self, side: Side, attempt: int, wait: float) -> None:
        self.now += wait
        self.handle(Ringing(side, attempt))

    @rule(side=sides, attempt=attempts)
    def answer(self, side: Side, attempt: int) -> None:
        self.handle(Answered(side, attempt))

    @rule(wait=st.floats(0, 10))
    def answer_ringing_legs(self, wait: float) -> None:
        self.now += wait
        for attempt in list(self.machine.attempts):
            self.handle(Answered(attempt.side, attempt.number))

    @precondition(lambda self: self.steps_before_end <= 0)
    @rule(side=sides, attempt=attempts, cause=causes, transport=st.booleans())
    def fail(self, side: Side, attempt: int, cause: Cause, transport: bool) -> None:
        self.handle(Failed(side, attempt, cause, transport))

    @rule(side=sides, attempt=attempts)
    def fail_at_the_gateway(self, side: Side, attempt: int) -> None:
        self.handle(Failed(side, attempt, Cause.GATEWAY_DOWN, transport=True))

    @precondition(lambda self: self.steps_before_end <= 0)
    @rule(side=sides, attempt=attempts, wait=waits)
    def hang_up(self, side: Side, attempt: int, wait: float) -> None:
        self.now += wait
        self.handle(HungUp(side, attempt))

    @precondition(lambda self: self.steps_before_end <= 0)
    @rule(cause=causes)
    def request_hang_up(self, cause: Cause) -> None:
        self.handle(HangUpRequested(cause))

    @precondition(lambda self: any(isinstance(c, ExtendHold) for c in self.commands))
    @rule(share=st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1)]), wait=waits)
    def grant(self, share: Decimal, wait: float) -> None:
        requested = [c.amount for c in self.commands if isinstance(c, ExtendHold)][-1]
        self.now += wait
        self.handle(HoldGranted(max(self.machine.hold, requested * share)))

    # The properties

    @invariant()
    def statuses_come_in_the_protocols_order(self) -> None:
        previous: CallStatus | None = None
        for command in self.commands:
            if isinstance(command, SendEvent):
                assert command.event.status in MAY_FOLLOW[previous]
                previous = command.event.status
        assert self.machine.status == previous

    @invariant()
    def it_has_one_final_event_and_one_finish(self) -> None:
        finals = [c for c in self.commands if isinstance(c, SendEvent) and c.event.status.is_final]
        finishes = [c for c in self.commands if isinstance(c, Finish)]
        assert len(finals) == len(finishes) == (1 if self.machine.ended else 0)
        if finishes:
            assert self.commands[-2:] == [finals[0], finishes[0]]
            assert self.machine.deadline is None

    @invariant()
    def a_live_call_always_has_a_deadline(self) -> None:
        assert self.machine.ended or self.machine.deadline is not None

    @invariant()
    def leg_b_is_not_dialed_before_leg_a_has_answered(self) -> None:
        answered = False
        for command in self.commands:
            if isinstance(command, SendEvent):
                answered = answered or command.event.status is CallStatus.A_ANSWERED
            if isinstance(command, Dial) and command.side is Side.B:
                assert answered

    @invariant()
    def only_answered_legs_are_bridged(self) -> None:
        bridges = [c for c in self.commands if isinstance(c, Bridge)]
        assert len(bridges) <= 1
        answered = {a.side: a.number for a in self.machine.attempts if a.answered is not None}
        by = {a.side: a.route.kind for a in self.machine.attempts if a.answered is not None}
        assert len(set(by.values())) <= 1  # otherwise they could not be bridged
        for bridge in bridges:
            assert answered == {Side.A: bridge.attempt_a, Side.B: bridge.attempt_b}

    @invariant()
    def each_gateway_is_tried_once_and_one_at_a_time(self) -> None:
        for side in Side:
            tried = [
                c.route.gateway for c in self.commands if isinstance(c, Dial) and c.side is side
            ]
            assert tried == sorted(set(tried))
            assert sum(a.side is side and a.ended is None for a in self.machine.attempts) <= 1

    @invariant()
    def legs_are_hung_up_once_and_none_stays_up(self) -> None:
        hung_up = [(c.side, c.attempt) for c in self.commands if isinstance(c, HangUp)]
        assert len(hung_up) == len(set(hung_up))
        if self.machine.ended:
            assert all(a.ended is not None and a.cause is not None for a in self.machine.attempts)

    @invariant()
    def there_is_at_most_one_tick_per_interval(self) -> None:
        statuses = [c.event.status for c in self.commands if isinstance(c, SendEvent)]
        ticks = sum(one is other for one, other in itertools.pairwise(statuses))
        assert ticks <= self.machine.duration // self.machine.plan.event_interval

    @invariant()
    def the_cost_never_decreases_and_stays_within_the_hold(self) -> None:
        assert self.costs == sorted(self.costs)
        assert self.costs[-1] <= self.machine.hold
        costs = [c.event.cost for c in self.commands if isinstance(c, SendEvent)]
        assert costs == sorted(costs)  # type: ignore[type-var]

    @invariant()
    def the_last_event_the_legs_and_the_charge_agree(self) -> None:
        if not self.machine.ended:
            return
        final, finish = self.commands[-2:]
        assert isinstance(final, SendEvent)
        assert isinstance(finish, Finish)
        assert final.event.cost == finish.cost_a + finish.cost_b == self.machine.cost
        assert final.event.duration == finish.duration <= self.machine.plan.max_duration
        if self.answered(Side.B) is not None:
            assert finish.duration <= self.machine.max_duration
        assert final.event.status is finish.status
        if final.event.status is CallStatus.A_FAILED:
            assert final.event.cost == 0

    def answered(self, side: Side) -> float | None:
        return next((a.answered for a in self.machine.attempts if a.side is side), None)

    @invariant()
    def the_seconds_of_leg_b_agree_with_its_times_as_those_of_leg_a_do(self) -> None:
        """Time that the hold does not pay for is left out: the wait for the last request."""
        unpaid = {side: self.passed(side) - (self.machine.seconds(side) or 0) for side in Side}
        assert 0 <= unpaid[Side.B] <= unpaid[Side.A]

    def passed(self, side: Side) -> int:
        """Whole seconds from the leg's answer to its end, or until now."""
        for each in self.machine.attempts:
            if each.side is side and each.answered is not None:
                ended = self.machine.now if each.ended is None else each.ended
                return int(ended - each.answered + 1e-6)
        return 0

    @invariant()
    def leg_a_is_charged_from_its_answer_or_from_the_connection(self) -> None:
        a, b = self.machine.seconds(Side.A), self.machine.seconds(Side.B)
        paid = b if self.machine.plan.a_free_until_connected else a
        tariff = self.machine.plan.tariff_a
        assert self.machine.leg_cost(Side.A) == (0 if paid is None else cost(tariff, paid))
        assert self.machine.duration == (a or 0)  # in either case

    @invariant()
    def a_call_without_funds_could_not_have_paid_for_another_second(self) -> None:
        machine, last = self.machine, self.commands[-1]
        if not isinstance(last, Finish) or last.cause is not Cause.NO_FUNDS:
            return
        seconds = machine.seconds(Side.A)
        if seconds is None:  # the shortest call costs more than the hold
            assert self.cost_at(0, 0) > machine.hold
            return
        a, b = self.answered(Side.A), self.answered(Side.B)
        offset = seconds + 1 if a is None or b is None else int(b - a + 1e-6)
        b_seconds = max(0, seconds + 1 - offset)
        a_seconds = b_seconds if machine.plan.a_free_until_connected else seconds + 1
        assert self.cost_at(a_seconds, b_seconds) > machine.hold

    def cost_at(self, a_seconds: int, b_seconds: int) -> Decimal:
        return call_cost(
            self.machine.plan.tariff_a, self.machine.plan.tariff_b, a_seconds, b_seconds
        )


AnyCall.TestCase.settings = settings(max_examples=120, stateful_step_count=25)
TestAnyCall = AnyCall.TestCase
