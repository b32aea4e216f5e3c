"""Concurrent requests, on a database with row locks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from django.db import connection, connections
from django.db.models import Sum
from django.test import override_settings
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus, ResponseCode
from django_poketalk.server import admission, views
from django_poketalk.server.admission import Admitted, CallForm, Refused
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, LedgerEntry, Rate
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change
from django_poketalk.server.switch.gateways.base import CallKey
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Finish
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims
from tests.conftest import Times

from . import money
from .conftest import CALLEE, CALLER, Customer, make_customer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not connection.features.has_select_for_update,
        reason="Requires a database with row locks, such as DATABASE_URL=postgres://…",
    ),
]
D = Decimal
NOW = timezone.now()
Result = TypeVar("Result")


@pytest.fixture
def threads(times: Times) -> int:
    """Few, since each has a connection and PostgreSQL lets all test processes have 100 together."""
    return times(8, full=64)


@pytest.fixture
def rounds(times: Times) -> int:
    return times(10, full=1000)


def run_concurrently(tasks: list[Callable[[], Result]]) -> list[Result]:
    """Run the tasks on threads that start together. Returns their results in order."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], Result]) -> Result:
        barrier.wait(timeout=30)
        try:
            return task()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        return list(pool.map(run, tasks))


def assert_consistent(account: Account) -> None:
    account.refresh_from_db()
    assert account.funds >= 0
    assert account.held >= 0
    entries = LedgerEntry.objects.filter(account=account)
    assert sum((entry.amount for entry in entries), D(0)) == account.balance
    calls = Call.objects.filter(account=account)
    assert sum((call.held for call in calls), D(0)) == account.held
    for call in calls:
        assert -sum((entry.amount for entry in call.entries.all()), D(0)) == call.cost


def call_form(customer: Customer, custom: str = "") -> CallForm:
    return CallForm(customer.secret, CALLER, CALLEE, custom, address="127.0.0.1")


def test_concurrent_admissions_never_exceed_the_balance(threads: int, rounds: int) -> None:
    for number in range(rounds):
        customer = make_customer(f"Round {number}", balance="0")
        affordable = threads // 3
        ledger.top_up(customer.account, D("2.400") * affordable)
        outcomes = run_concurrently([lambda c=customer: admission.admit(call_form(c))] * threads)
        admitted = [outcome for outcome in outcomes if isinstance(outcome, Admitted)]
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Admitted)]
        assert len(admitted) == affordable
        assert refused == [Refused(ResponseCode.NO_TIMEOUT, "no_funds")] * (threads - affordable)
        assert_consistent(customer.account)


def extend(call: Call, hold: Decimal) -> Change:
    """The change that a switch stores at a tick, with the first fence."""
    return Change(CallKey(call.pk, 1), call.account_id, requested_hold=hold)


def end(call: Call, a_cost: Decimal, b_cost: Decimal, fence: int = 1) -> Change:
    """The change that a switch stores at the end of the call."""
    finish = Finish(CallStatus.AB_DISCONNECTED, Cause.NORMAL, 1, a_cost, b_cost)
    return Change(CallKey(call.pk, fence), call.account_id, finish=finish, ended_at=NOW)


def test_concurrent_holds_charges_and_top_ups_keep_the_ledger_consistent(
    threads: int, rounds: int
) -> None:
    customer = make_customer(balance="20")
    Account.objects.update(credit_limit=D("1.5"))

    def live() -> None:
        call = customer.new_call(state=Call.State.ACTIVE, fence=1)
        if money.queue(call, D("0.700")):
            [held] = store.save([extend(call, D("1.333"))])
            assert held is not None
            store.save([end(call, min(held, D("0.611")), D("0.049"))])
        else:
            ledger.top_up(reference_to(customer.account), D("0.013"))

    for _round in range(rounds):
        run_concurrently([live] * threads)
        assert_consistent(customer.account)
        assert customer.account.held == 0


def test_many_threads_on_one_balance_are_exact(threads: int, rounds: int) -> None:
    """Each thread keeps its connection. In each round it queues two calls, extends and charges both
    in one batch, or tops up the account.

    The result is known in advance except for the order of the entries.
    """
    customer = make_customer(balance="10")
    account = customer.account
    charged = [D(0)] * threads
    paid_in = [D(0)] * threads
    short = [0] * threads

    def run_thread(thread: int) -> None:
        for _round in range(rounds):
            both = [customer.new_call(state=Call.State.ACTIVE, fence=1) for _ in range(2)]
            calls = [call for call in both if money.queue(call, D("0.700"))]
            if calls != both:
                short[thread] += 1
                ledger.top_up(reference_to(account), D("1.013"))
                paid_in[thread] += D("1.013")
            over = []
            for call, held in zip(
                calls, store.save([extend(call, D("1.333")) for call in calls]), strict=True
            ):
                assert held is not None
                assert D("0.700") <= held <= D("1.333")
                cost = min(held, D("1.117"))
                charged[thread] += cost
                over.append(end(call, cost, D("0.000")))
            store.save(over)
            store.save(over)  # again, as after a commit whose response was lost

    run_concurrently([lambda thread=thread: run_thread(thread) for thread in range(threads)])

    account.refresh_from_db()
    assert account.balance == D(10) + sum(paid_in, D(0)) - sum(charged, D(0))
    assert account.balance >= 0
    assert account.held == 0
    assert sum(short) == LedgerEntry.objects.filter(account=account, kind="top_up").count() - 1
    balance = D(0)
    for amount, after in account.entries.order_by("id").values_list("amount", "balance"):
        balance += amount
        assert after == balance >= 0
    assert balance == account.balance
    assert account.charged(ledger.today()) == sum(charged, D(0))
    debits = Call.objects.filter(account=account).aggregate(sum=Sum("cost"))["sum"]
    assert debits == sum(charged, D(0))


def reference_to(account: Account) -> Account:
    """An object for the same account, for use in another thread."""
    return Account(pk=account.pk)


def test_concurrent_charges_of_a_call_charge_it_once(threads: int, rounds: int) -> None:
    """The owner retries its writes, and switches that lost the call also write."""
    customer = make_customer()

    def charge(call: Call, fence: int) -> bool:
        try:
            store.save([end(call, D("0.5"), D("0.25"), fence)])
        except store.LostCall:
            return False
        return True

    for number in range(rounds):
        assert isinstance(admission.admit(call_form(customer)), Admitted)
        [claimed] = claims.claim("one", 1, GatewayAvailability(["simulated"])).calls
        call = Call.objects.get(pk=claimed.key.pk)
        fences = [claimed.key.fence - stale % 2 for stale in range(threads)]
        charged = run_concurrently(
            [lambda c=call, fence=fence: charge(c, fence) for fence in fences]
        )
        assert charged == [fence == claimed.key.fence for fence in fences]
        assert LedgerEntry.objects.filter(call=call).count() == 2
        assert_consistent(customer.account)
        assert customer.account.balance == D(100) - D("0.75") * (number + 1)


@override_settings(POKETALK_SERVER={"UNIQUE_CUSTOM": True})
def test_concurrent_requests_with_one_custom_queue_one_call(threads: int, rounds: int) -> None:
    customer = make_customer()
    for number in range(rounds):
        custom = f"web{number}"
        outcomes = run_concurrently(
            [lambda c=custom: admission.admit(call_form(customer, c))] * threads
        )
        assert all(isinstance(outcome, Admitted) for outcome in outcomes)
        assert [outcome.repeated for outcome in outcomes].count(False) == 1
        assert Call.objects.filter(custom=custom).count() == 1


@pytest.mark.parametrize(("also", "code"), [("", "00"), ("33", "90")])
def test_a_rate_that_is_deleted_during_admission_does_not_apply(
    monkeypatch: pytest.MonkeyPatch, also: str, code: str
) -> None:
    """The rate is deleted, as by the import of a rate deck, after it was chosen for the call."""
    customer = make_customer()
    Rate.objects.update(prefix="1")
    Rate.objects.create(price_list=customer.price_list, prefix=also, price_per_minute=1)
    chosen = Rate.objects.create(price_list=customer.price_list, prefix="44", price_per_minute=1)
    rates = admission.rates_for

    def choose(*args: Any) -> Any:
        found = rates(*args)
        run_concurrently([Rate.objects.filter(pk=chosen.pk).delete])
        return found

    monkeypatch.setattr(admission, "rates_for", choose)
    monkeypatch.setattr(views, "WAIT", 30.0)  # the second connection takes its time
    assert customer.request_call() == code
    assert_consistent(customer.account)


def test_concurrent_admissions_respect_the_maximum_live_calls(threads: int) -> None:
    customer = make_customer()
    Account.objects.update(max_live_calls=3)
    run_concurrently([lambda: admission.admit(call_form(customer))] * threads)
    assert Call.objects.count() == 3


def test_concurrent_admissions_respect_the_calls_per_second(threads: int, rounds: int) -> None:
    customer = make_customer()
    Account.objects.update(max_calls_per_second=3)
    began = timezone.now()
    for _round in range(rounds):
        run_concurrently([lambda: admission.admit(call_form(customer))] * threads)
    made = sorted(Call.objects.values_list("created_at", flat=True))
    assert 3 <= len(made) <= 3 * ((timezone.now() - began).total_seconds() + 1)
    for first, fourth in zip(made, made[3:], strict=False):
        assert fourth - first >= timedelta(seconds=1)


def test_concurrent_calls_respect_the_spend_per_day(threads: int, rounds: int) -> None:
    customer = make_customer(balance="100000")
    limit = D("2.400") * (threads // 3) + D("0.700")
    Account.objects.update(max_spend_per_day=limit)

    def live() -> None:
        outcome = admission.admit(call_form(customer))
        if isinstance(outcome, Admitted):
            call = outcome.call
            Call.objects.filter(pk=call.pk).update(state=Call.State.ACTIVE, fence=1)
            [held] = store.save([extend(call, D("4.800"))])
            assert held is not None
            store.save([end(call, held / 2, held / 2)])

    for _round in range(rounds):
        run_concurrently([live] * threads)
        assert_consistent(customer.account)
        assert customer.account.charged(ledger.today()) <= limit
    assert customer.account.charged(ledger.today()) > limit - D("0.020")  # one shortest call
    charges = LedgerEntry.objects.filter(kind="charge").aggregate(sum=Sum("amount"))["sum"]
    assert -charges == customer.account.charged(ledger.today())


def test_concurrent_payments_with_one_key_are_booked_once(threads: int) -> None:
    account = make_customer().account
    key = "0123456789abcdef" * 2

    entries = run_concurrently([lambda: ledger.top_up(account, D(5), key=key)] * threads)

    assert len({entry.pk for entry in entries}) == 1
    assert [entry.repeated for entry in entries].count(False) == 1
    assert_consistent(account)
    assert account.balance == 105
