"""The ledger never passes a limit, is exact, and charges each call once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, LedgerEntry

from .. import money
from ..conftest import Customer
from ..money import charge, extend, ledger_batch

D = Decimal
Queued = Callable[..., Call]


def money_of(account: Account) -> tuple[Decimal, Decimal]:
    """The stored balance and hold, after a check against the entries and the calls."""
    account.refresh_from_db()
    entries = LedgerEntry.objects.filter(account=account).order_by("id")
    assert sum((entry.amount for entry in entries), D(0)) == account.balance
    last = entries.last()
    assert last is None or last.balance == account.balance
    held = Call.objects.filter(account=account).values_list("held", flat=True)
    assert sum(held, D(0)) == account.held
    assert account.funds >= 0
    return account.balance, account.held


def test_books_a_top_up_with_note_and_author(customer: Customer) -> None:
    anna = get_user_model().objects.create_user("anna")
    entry = ledger.top_up(customer.account, D("25.5"), note="Invoice 7", by=anna)
    assert money_of(customer.account) == (D("125.500"), D(0))
    assert (entry.kind, entry.amount, entry.balance) == ("top_up", D("25.5"), D("125.500"))
    assert (entry.note, entry.created_by) == ("Invoice 7", anna)


@pytest.mark.parametrize(
    "amount", [D(0), D("-1"), D("0.0001"), D("NaN"), D("Infinity"), D("1e15"), 1.5]
)
def test_rejects_a_top_up_that_is_not_a_positive_amount_of_thousandths(
    customer: Customer, amount: Any
) -> None:
    with pytest.raises(ValueError, match=r"finite Decimal|three decimals|greater than 0"):
        ledger.top_up(customer.account, amount)
    assert money_of(customer.account) == (D("100.000"), D(0))


def test_rejects_an_adjustment_past_the_credit_limit(customer: Customer) -> None:
    ledger.adjust(customer.account, D("-100"))
    assert money_of(customer.account) == (D(0), D(0))
    with pytest.raises(ledger.InsufficientFunds):
        ledger.adjust(customer.account, D("-0.001"))
    Account.objects.filter(pk=customer.account.pk).update(credit_limit=D("0.5"))
    ledger.adjust(customer.account, D("-0.5"))
    assert money_of(customer.account) == (D("-0.500"), D(0))


def test_rejects_an_amount_of_0(customer: Customer) -> None:
    with pytest.raises(ValueError, match="amount is 0"):
        ledger.adjust(customer.account, D(0))


def test_rejects_a_balance_above_the_maximum(customer: Customer) -> None:
    with pytest.raises(ValueError, match="the maximum is"):
        ledger.top_up(customer.account, ledger.MAX_AMOUNT)


@pytest.mark.parametrize(("a_day", "most"), [(None, D("100.000")), (D(5), D("5.000"))])
def test_queues_a_call_only_if_the_hold_is_affordable(
    customer: Customer, a_day: Decimal | None, most: Decimal
) -> None:
    Account.objects.update(max_spend_per_day=a_day)
    for amount, held in ((most + D("0.001"), D(0)), (most, most)):
        assert money.queue(customer.new_call(), amount) == bool(held) == Call.objects.exists()
        assert money_of(customer.account) == (D(100), held)


def test_rejects_an_adjustment_of_held_money(customer: Customer, queued: Queued) -> None:
    queued(D(60))
    with pytest.raises(ledger.InsufficientFunds):
        ledger.adjust(customer.account, D("-40.001"))
    ledger.adjust(customer.account, D("-40"))
    assert money_of(customer.account) == (D(60), D(60))


def test_a_hold_is_extended_up_to_the_funds_and_never_lowered(
    customer: Customer, queued: Queued
) -> None:
    call = queued(D(10))
    queued(D(70))
    assert extend(call, D(20)) == D(20)
    assert extend(call, D(5)) == D(20)
    assert extend(call, D(50)) == D(30)
    assert extend(call, D(50)) == D(30)
    assert money_of(customer.account) == (D(100), D(100))


def test_charging_books_each_leg_and_releases_the_hold(customer: Customer, queued: Queued) -> None:
    call = queued(D(10))
    charge(call, D("0.515"), D("1.2"))
    assert money_of(customer.account) == (D("98.285"), D(0))
    call.refresh_from_db()
    assert (call.held, call.cost) == (D(0), D("1.715"))
    assert call.charged_at is not None
    charges = call.entries.order_by("side").values_list("kind", "side", "amount")
    assert list(charges) == [("charge", "A", D("-0.515")), ("charge", "B", D("-1.2"))]


def test_a_leg_without_cost_gets_no_entry(customer: Customer, queued: Queued) -> None:
    busy, unanswered = queued(D(10)), queued()
    charge(busy, D(0), D(0))
    charge(unanswered, D("0.01"), D(0))
    assert not busy.entries.exists()
    assert [entry.side for entry in unanswered.entries.all()] == ["A"]
    assert money_of(customer.account) == (D("99.990"), D(0))


def test_a_free_call_is_charged_only_once(customer: Customer, queued: Queued) -> None:
    call = queued()
    charge(call, D(0), D(0))
    charge(call, D(1), D(1))
    assert money_of(customer.account) == (D(100), D(0))


def test_a_charged_call_cannot_extend_its_hold(customer: Customer, queued: Queued) -> None:
    call = queued(D(1))
    charge(call, D(1), D(1))
    assert extend(call, D(1)) == 0
    assert money_of(customer.account) == (D(98), D(0))


def test_a_switch_that_lost_the_call_cannot_move_money(customer: Customer, queued: Queued) -> None:
    stale = queued(D(10), fence=1)
    Call.objects.filter(pk=stale.pk).update(fence=2)
    assert extend(stale, D(20)) == 0
    charge(stale, D(5), D(5))
    assert money_of(customer.account) == (D(100), D(10))
    charge(Call.objects.get(pk=stale.pk), D(5), D(5))
    assert money_of(customer.account) == (D(90), D(0))


def test_costs_above_hold_and_funds_are_charged_up_to_the_limit_and_logged(
    customer: Customer, queued: Queued, caplog: pytest.LogCaptureFixture
) -> None:
    call = queued(D(10))
    queued(D(80))
    charge(call, D(15), D(15))
    assert money_of(customer.account) == (D(80), D(80))
    call.refresh_from_db()
    assert call.cost == D(20)
    assert "only 20" in caplog.text


@pytest.mark.parametrize("costs", [(D("-1"), D(2)), (D("0.0001"), D(0)), (0.5, D(0))])
def test_rejects_invalid_costs(customer: Customer, queued: Queued, costs: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"is negative|finite Decimal|three decimals"):
        charge(queued(), *costs)
    with pytest.raises(ValueError, match=r"is negative|finite Decimal|three decimals"):
        queued(costs[0])


def test_a_constraint_rejects_a_balance_past_the_limit(customer: Customer) -> None:
    rows = Account.objects.filter(pk=customer.account.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(held=D("100.001"))
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(balance=D("-0.001"))
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(held=D("-0.001"))


@pytest.mark.parametrize(("credit", "held"), [("0.5", "0.8"), ("0.4", "0.7"), ("0.1", "0.3")])
def test_the_last_thousandth_can_be_held_on_every_database(
    customer: Customer, queued: Queued, credit: str, held: str
) -> None:
    # In floats 0.8 - 0.5 is more than 0.3.
    ledger.adjust(customer.account, D(held) - D(credit) - D(100))
    Account.objects.filter(pk=customer.account.pk).update(credit_limit=D(credit))
    queued(D(held))
    assert money_of(customer.account) == (D(held) - D(credit), D(held))


def test_a_constraint_rejects_a_second_charge_of_a_leg(customer: Customer, queued: Queued) -> None:
    call = queued()
    charge(call, D(1), D(0))
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(
            account=customer.account, kind="charge", amount=D(-1), balance=D(0), call=call, side="A"
        )


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "charge", "amount": D(-1)},
        {"kind": "charge", "amount": D(-1), "side": "A"},
        {"kind": "top_up", "amount": D(-1)},
    ],
)
def test_constraints_reject_invalid_entries(customer: Customer, facts: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(account=customer.account, balance=D(0), **facts)


def test_entries_are_append_only(customer: Customer) -> None:
    entry = LedgerEntry.objects.get()
    with pytest.raises(TypeError, match="append-only"):
        entry.save()
    with pytest.raises(TypeError, match="append-only"):
        entry.delete()


def test_saving_a_stale_account_keeps_its_balance(customer: Customer, queued: Queued) -> None:
    stale = Account.objects.get(pk=customer.account.pk)
    queued(D(10))
    ledger.top_up(customer.account, D(5))
    stale.name = "Renamed"
    stale.save()
    assert money_of(customer.account) == (D(105), D(10))
    assert customer.account.name == "Renamed"


amounts = st.decimals(min_value=0, max_value=60, places=3, allow_nan=False, allow_infinity=False)
turns = st.lists(st.tuples(st.sampled_from(["extend", "charge"]), amounts, amounts), max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["top_up", "adjust", "queue"]), amounts),
        st.tuples(st.just("batch"), turns),
    ),
    max_size=12,
)
thorough = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(steps=steps, credit=amounts)
@thorough
def test_the_ledger_is_consistent_after_any_operations(
    customer: Customer, queued: Queued, steps: list[Any], credit: Decimal
) -> None:
    with transaction.atomic():
        account = customer.account
        Account.objects.filter(pk=account.pk).update(credit_limit=credit)
        money_of(account)
        calls = [queued() for _ in range(3)]
        costs: dict[int, Decimal] = {}
        for action, what in steps:
            match action:
                case "top_up" if what:
                    ledger.top_up(account, what)
                case "adjust" if what:
                    try:
                        ledger.adjust(account, -what)
                    except ledger.InsufficientFunds:
                        assert what > account.funds
                case "queue":
                    call = customer.new_call()
                    reaches = what <= account.funds
                    assert money.queue(call, what) == reaches
                    calls += [call] * reaches
                case "batch":
                    costs |= apply_turns(calls, what, costs)
            money_of(account)
        for call in calls:
            call.refresh_from_db()
            assert -sum((entry.amount for entry in call.entries.all()), D(0)) == call.cost
            assert call.cost <= costs.get(call.pk, D(0))
            assert (call.charged_at is not None) == (call.pk in costs)
        transaction.set_rollback(True)


def apply_turns(
    calls: list[Call], turns: list[Any], charged: Collection[int]
) -> dict[int, Decimal]:
    """Apply a turn to each of the newest calls, in one batch. Returns the costs of the calls that
    are charged now.
    """
    costs = {}
    turn = list(zip(reversed(calls), turns, strict=False))
    before = dict(Call.objects.values_list("pk", "held"))
    with ledger_batch(*[call for call, _what in turn]) as batch:
        for call, (action, one, other) in turn:
            if action == "extend":
                held = batch.extend(call.pk, one)
                if call.pk in charged:
                    assert held == 0
                else:
                    assert before[call.pk] <= held <= max(one, before[call.pk])
            else:
                batch.charge(call.pk, one, other)
                if call.pk not in charged:
                    costs[call.pk] = one + other
    return costs


@given(turns=turns, funds=amounts, a_day=st.one_of(st.none(), amounts), credit=amounts)
@thorough
def test_one_batch_of_many_calls_equals_one_batch_for_each(
    customer: Customer,
    queued: Queued,
    turns: list[Any],
    funds: Decimal,
    a_day: Decimal | None,
    credit: Decimal,
) -> None:
    outcomes = []
    for is_together in (True, False):
        with transaction.atomic():
            calls = [queued(D(5)) for _ in turns]
            Account.objects.update(
                balance=funds + 5 * len(calls), credit_limit=credit, max_spend_per_day=a_day
            )
            groups = [[*zip(calls, turns, strict=True)]]
            if not is_together:
                groups = [[each] for each in groups[0]]
            for group in groups:
                with ledger_batch(*[call for call, _turn in group]) as batch:
                    for call, (action, one, other) in group:
                        if action == "extend":
                            batch.extend(call.pk, one)
                        else:
                            batch.charge(call.pk, one, other)
            entries = LedgerEntry.objects.order_by("id").filter(kind="charge")
            outcomes.append(
                (
                    list(Account.objects.values_list("balance", "held", "spent", "spent_on")),
                    list(Call.objects.order_by("pk").values_list("held", "cost")),
                    list(entries.values_list("side", "amount", "balance")),
                )
            )
            transaction.set_rollback(True)
    assert outcomes[0] == outcomes[1]
