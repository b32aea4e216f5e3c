"""Many ask at once (faults P6, S7, S8), on a database that locks rows.

`POKETALK_RACE_THREADS` and `POKETALK_RACE_ROUNDS` make it a longer run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TypeVar

import pytest
from django.db import connection, connections
from django.test import override_settings

from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.server import admission, ledger
from django_poketalk.server.admission import Admitted, Asked, Refused
from django_poketalk.server.models import Account, Call, LedgerEntry

from .conftest import CALLEE, CALLER, Customer, make_customer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not connection.features.has_select_for_update,
        reason="Needs a database with row locks, e.g. DATABASE_URL=postgres://…",
    ),
]
THREADS = int(os.environ.get("POKETALK_RACE_THREADS", "32"))
ROUNDS = int(os.environ.get("POKETALK_RACE_ROUNDS", "5"))
D = Decimal
Result = TypeVar("Result")


def at_once(tasks: list[Callable[[], Result]]) -> list[Result]:
    """Run the tasks on threads that all start together; their results in order."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], Result]) -> Result:
        barrier.wait(timeout=30)
        try:
            return task()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        return list(pool.map(run, tasks))


def books_are_right(account: Account) -> None:
    account.refresh_from_db()
    assert account.funds >= 0
    assert account.held >= 0
    entries = LedgerEntry.objects.filter(account=account)
    assert sum((entry.amount for entry in entries), D(0)) == account.balance
    calls = Call.objects.filter(account=account)
    assert sum((call.held for call in calls), D(0)) == account.held
    for call in calls:
        assert -sum((entry.amount for entry in call.entries.all()), D(0)) == call.debit


def asked(customer: Customer, custom: str = "") -> Asked:
    return Asked(customer.secret, CALLER, CALLEE, custom, "", "127.0.0.1")


def test_calls_that_race_for_one_balance_never_take_more_than_there_is() -> None:
    for number in range(ROUNDS):
        customer = make_customer(f"Round {number}", balance="0")
        affordable = THREADS // 3
        ledger.top_up(customer.account, D("2.400") * affordable)
        outcomes = at_once([lambda c=customer: admission.admit(asked(c))] * THREADS)
        admitted = [outcome for outcome in outcomes if isinstance(outcome, Admitted)]
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Admitted)]
        assert len(admitted) == affordable
        assert refused == [Refused(ResponseCode.NO_TIMEOUT)] * (THREADS - affordable)
        books_are_right(customer.account)


def test_holds_extensions_charges_and_top_ups_that_race_leave_the_books_right() -> None:
    customer = make_customer(balance="20")
    Account.objects.update(credit_limit=D("1.5"))
    for _round in range(ROUNDS):
        calls = [
            Call.objects.create(
                account=customer.account,
                provider=customer.provider,
                custom="race",
                from_number=CALLER,
                to_number=CALLEE,
                remote_address="127.0.0.1",
                max_duration=60,
            )
            for _ in range(THREADS)
        ]

        def live(call: Call) -> None:
            if ledger.hold(call, D("0.700")):
                ledger.extend(call, D("1.333"))
                ledger.settle(call, min(call.held, D("0.611")), D("0.049"))
            else:
                ledger.top_up(call.account, D("0.013"))

        at_once([lambda call=call: live(call) for call in calls])
        books_are_right(customer.account)
        assert customer.account.held == 0


def test_a_call_that_many_settle_at_once_is_charged_once() -> None:
    customer = make_customer()
    for number in range(ROUNDS):
        outcome = admission.admit(asked(customer))
        assert isinstance(outcome, Admitted)
        pk = outcome.call.pk
        settled = at_once(
            [lambda pk=pk: ledger.settle(Call.objects.get(pk=pk), D("0.5"), D("0.25"))] * THREADS
        )
        assert settled.count(True) == 1
        assert LedgerEntry.objects.filter(call=pk).count() == 2
        books_are_right(customer.account)
        assert customer.account.balance == D(100) - D("0.75") * (number + 1)


@override_settings(POKETALK_SERVER={"UNIQUE_CUSTOM": True})
def test_of_many_requests_with_one_custom_one_makes_a_call_and_all_are_told_00() -> None:
    customer = make_customer()
    for number in range(ROUNDS):
        custom = f"web{number}"
        outcomes = at_once([lambda c=custom: admission.admit(asked(customer, c))] * THREADS)
        assert all(isinstance(outcome, Admitted) for outcome in outcomes)
        assert [outcome.repeated for outcome in outcomes].count(False) == 1
        assert Call.objects.filter(custom=custom).count() == 1


def test_the_cap_of_live_calls_holds_under_a_race() -> None:
    customer = make_customer()
    Account.objects.update(max_live_calls=3)
    at_once([lambda: admission.admit(asked(customer))] * THREADS)
    assert Call.objects.count() == 3
