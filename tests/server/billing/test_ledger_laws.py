"""The ledger is consistent under concurrency, with real calls on threads.

Calls are admitted, claimed, driven by their state machines and stored as in a switch, but without
phones. Many run at once, on a database with row locks, while payments and adjustments are booked.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection, connections
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from django_poketalk.protocol.eventurl import Event
from django_poketalk.server import admission
from django_poketalk.server.admission import CallForm
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, LedgerEntry, Rate, ServiceProvider
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change, LegRow
from django_poketalk.server.switch.machine.call import CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Command,
    ExtendHold,
    Fact,
    Failed,
    Finish,
    HangUpRequested,
    HoldGranted,
    HungUp,
    SendEvent,
    Side,
    TimeUp,
)
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims
from django_poketalk.server.switch.ownership.plan import ClaimedCall
from tests.conftest import Times

from .. import money
from ..conftest import CALLEE, CALLER, make_customer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not connection.features.has_select_for_update,
        reason="Requires a database with row locks, such as DATABASE_URL=postgres://…",
    ),
]
D = Decimal


class DrivenCall:
    """A claimed call with its state machine and its rows, without phones and event loop."""

    def __init__(self, claimed: ClaimedCall) -> None:
        self.key, self._claimed = claimed.key, claimed
        self.machine = CallMachine(claimed.plan)
        self.events: list[Event] = []
        self.finish: Finish | None = None
        self._now = 0.0
        self._written: set[tuple[Side, int]] = set()
        self._execute(self.machine.start(0.0, claimed.refused))

    def apply(self, fact: Fact, after: float = 0.0) -> None:
        """Apply a fact to the call `after` seconds later."""
        until = self._now + after
        while (deadline := self.machine.deadline) is not None and deadline < until:
            self._now = max(self._now, deadline)
            self._execute(self.machine.handle(TimeUp(), self._now))
        self._now = until
        if not self.machine.ended:
            self._execute(self.machine.handle(fact, until))

    def _execute(self, commands: list[Command]) -> None:
        machine, requested_hold, finish = self.machine, None, None
        for command in commands:
            match command:
                case SendEvent(event):
                    self.events.append(event)
                case ExtendHold(amount):
                    requested_hold = amount
                case Finish():
                    finish = self.finish = command
        legs = {(attempt.side, attempt.number): attempt for attempt in machine.attempts}
        now = timezone.now()
        rows = {
            leg: LegRow(
                side=attempt.side,
                attempt=attempt.number,
                gateway=attempt.route.gateway,
                number=self._claimed.number(attempt.side),
                tariff=self._claimed.plan.tariff(attempt.side),
                initiated_at=now,
                ringing_at=None,
                answered_at=None if attempt.answered is None else now,
                ended_at=None if attempt.ended is None else now,
                cause=attempt.cause or "",
                duration=machine.seconds(attempt.side) or 0,
                cost=D(0) if attempt.answered is None else machine.leg_cost(attempt.side),
            )
            for leg, attempt in legs.items()
        }
        change = Change(
            self.key,
            status=machine.status,
            duration=machine.duration,
            max_duration=machine.max_duration,
            cost=machine.cost,
            new_legs=tuple(row for leg, row in rows.items() if leg not in self._written),
            legs=tuple(row for leg, row in rows.items() if leg in self._written),
            requested_hold=requested_hold,
            finish=finish,
            ended_at=now if finish else None,
            done=finish is not None,
        )
        [granted] = store.save([change])
        self._written |= rows.keys()
        if granted is not None:
            self._execute(machine.handle(HoldGranted(granted), self._now))


prices = st.decimals(min_value=0, max_value=3, places=4)
increments = st.sampled_from([1, 6, 60])
FACTS: list[Fact] = [
    Answered(Side.A, 1),
    Answered(Side.B, 1),
    TimeUp(),
    TimeUp(),
    HungUp(Side.A, 1),
    HungUp(Side.B, 1),
    Failed(Side.B, 1, Cause.BUSY),
    HangUpRequested(Cause.VETOED),
]
timed_facts = st.tuples(st.sampled_from(FACTS), st.sampled_from([0.0, 1.0, 25.0, 61.5, 400.0]))
amounts = st.decimals(min_value=D("0.001"), max_value=20, places=3)


class LedgerMachine(RuleBasedStateMachine):
    """An account, its calls, and all operations that change its balance."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[DrivenCall] = []

    @initialize(
        balance=amounts,
        credit=st.decimals(min_value=0, max_value=5, places=3),
        a_day=st.one_of(st.none(), st.decimals(min_value=1, max_value=30, places=3)),
        billed=st.sampled_from(["answer", "connected"]),
        tariff=st.tuples(prices, prices, increments, increments, prices),
    )
    def open(
        self,
        balance: Decimal,
        credit: Decimal,
        a_day: Decimal | None,
        billed: str,
        tariff: tuple[Decimal, Decimal, int, int, Decimal],
    ) -> None:
        self.customer = make_customer(f"Account {Account.objects.count()}", str(balance))
        self.account = self.customer.account
        Account.objects.filter(pk=self.account.pk).update(
            credit_limit=credit, max_spend_per_day=a_day
        )
        ServiceProvider.objects.filter(pk=self.customer.provider.pk).update(leg_a_billed=billed)
        price, fee, first, then, minimum = tariff
        Rate.objects.filter(pk=self.customer.rate.pk).update(
            price_per_minute=price,
            connect_fee=fee / 10,
            initial_increment=first,
            subsequent_increment=then,
            minimum_charge=minimum / 10,
        )

    def run_concurrently(self, tasks: list[Callable[[], object]]) -> None:
        """Run the tasks on threads that start together. Raises their errors."""
        if not tasks:
            return
        barrier = threading.Barrier(len(tasks))

        def run(task: Callable[[], object]) -> None:
            barrier.wait(timeout=30)
            try:
                task()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
            for _done in pool.map(run, tasks):
                pass

    @rule(
        admitted=st.integers(0, 4),
        facts=st.lists(timed_facts, max_size=8),
        paid_in=st.lists(amounts, max_size=2),
        taken=st.lists(amounts, max_size=2),
        undone=st.lists(st.integers(0, 20), max_size=3),
    )
    def run_everything_concurrently(
        self,
        admitted: int,
        facts: list[tuple[Fact, float]],
        paid_in: list[Decimal],
        taken: list[Decimal],
        undone: list[int],
    ) -> None:
        live = [call for call in self.calls if not call.machine.ended]
        tasks: list[Callable[[], object]] = [
            *[
                lambda call=call, fact=fact: call.apply(*fact)
                for call, fact in zip(live, facts, strict=False)
            ],
            *[lambda amount=amount: self.pay_in(amount) for amount in paid_in],
            *[lambda amount=amount: self.take(amount) for amount in taken],
            *[lambda at=at: self.reverse(at) for at in undone],
            *[self.request_call] * admitted,
        ]
        self.run_concurrently(tasks)
        self.claim()

    @rule(first=st.integers(0, 2))
    def charge_again(self, first: int) -> None:
        """Charge a call again, as after a commit whose response was lost."""
        over = [call for call in self.calls if call.finish][first : first + 2]

        def again(call: DrivenCall) -> None:
            money.charge(Call.objects.get(pk=call.key.pk), D("0.5"), D("0.5"))

        self.run_concurrently([lambda call=call: again(call) for call in over for _ in range(2)])

    @rule(answer=st.sampled_from([0.0, 12.0]))
    def answer(self, answer: float) -> None:
        """Answer ringing calls, so that calls reach later states."""
        live = [call for call in self.calls if not call.machine.ended][:6]

        def both(call: DrivenCall) -> None:
            call.apply(Answered(Side.A, 1))
            call.apply(Answered(Side.B, 1), answer)

        self.run_concurrently([lambda call=call: both(call) for call in live])

    def request_call(self) -> None:
        admission.admit(CallForm(self.customer.secret, CALLER, CALLEE, address="127.0.0.1"))

    def pay_in(self, amount: Decimal) -> None:
        ledger.top_up(Account.objects.get(pk=self.account.pk), amount)

    def take(self, amount: Decimal) -> None:
        with contextlib.suppress(ledger.InsufficientFunds):
            ledger.adjust(Account.objects.get(pk=self.account.pk), -amount)

    def reverse(self, at: int) -> None:
        entries = LedgerEntry.objects.filter(account=self.account).order_by("id")
        if entry := entries[at : at + 1].first():
            with contextlib.suppress(ledger.InsufficientFunds, ledger.NotReversible):
                ledger.reverse(entry, "Law")

    def claim(self) -> None:
        self.calls += [
            DrivenCall(claimed)
            for claimed in claims.claim("law", 50, GatewayAvailability(["simulated"])).calls
        ]

    def teardown(self) -> None:
        """End the remaining calls, and check the ledger again."""
        if hasattr(self, "account"):
            self.claim()
            for call in self.calls:
                call.apply(HangUpRequested(Cause.SWITCH_STOPPED))
            self.ledger_is_consistent()
            assert Account.objects.get(pk=self.account.pk).held == 0

    # Invariants

    @invariant()
    def ledger_is_consistent(self) -> None:
        account = Account.objects.get(pk=self.account.pk)
        entries = list(LedgerEntry.objects.filter(account=account).order_by("id"))
        balance = D(0)
        for entry in entries:
            balance += entry.amount
            assert entry.balance == balance >= -account.credit_limit
            assert (entry.reverses is None) == (entry.kind != "reversal")
            assert entry.reverses is None or entry.amount == -entry.reverses.amount
        assert account.balance == balance
        assert account.funds >= 0
        calls = {call.pk: call for call in Call.objects.filter(account=account)}
        assert account.held == sum((call.held for call in calls.values()), D(0))
        charges = -sum((entry.amount for entry in entries if entry.kind == "charge"), D(0))
        assert account.charged(ledger.today()) == charges
        if account.max_spend_per_day is not None:
            assert charges + account.held <= account.max_spend_per_day
        for driven in self.calls:
            self.check_call(driven, calls[driven.key.pk])

    def check_call(self, driven: DrivenCall, call: Call) -> None:
        machine = driven.machine
        assert call.cost == machine.cost
        if driven.finish is None:
            assert call.held == machine.hold >= call.cost
            assert call.charged_at is None
            return
        entries = {entry.side: -entry.amount for entry in call.entries.filter(kind="charge")}
        legs = {leg.side: leg.cost for leg in call.legs.all() if leg.cost}
        assert entries == legs
        assert driven.events[-1].cost == call.cost == sum(legs.values(), D(0))
        assert (call.held, call.state) == (0, Call.State.ENDED)
        assert call.duration <= (call.duration_cap or 0)


def test_the_ledger_is_consistent_under_concurrency(times: Times) -> None:
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=times(6, full=1000),
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_ledger_machine_charges_answered_calls() -> None:
    """The test above reaches charged calls."""
    machine = LedgerMachine()
    machine.open(D(20), D(0), None, "answer", (D(1), D("0.1"), 1, 1, D(0)))
    machine.run_concurrently([machine.request_call] * 4)
    machine.claim()
    machine.answer(12.0)
    machine.run_everything_concurrently(0, [(TimeUp(), 400.0)] * 3, [D(5)], [D(1)], [])
    machine.ledger_is_consistent()
    machine.teardown()
    debits = Call.objects.values_list("cost", flat=True)
    assert len(debits) == 4
    assert min(debits) > 0
    assert max(debits) > 2  # its hold was extended
