"""Money: the only code that writes an account's balance and what live calls hold of it.

A call holds money before it can spend it: at admission the first slice, then more as it goes on,
and when it is settled the hold is released and each leg's cost is charged. Every function is one
transaction under row locks, taken in one order (call, then account), so balance − held never passes
the credit limit. Sums are made in Python from the locked row: SQLite's arithmetic is in floats.

A function that is given a call acts only while the row still carries that call's `fence` and is not
settled: a switch that lost the call writes nothing.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from .models import Account, Call, LedgerEntry, Side
from .rating import FREE, THOUSANDTH

logger = logging.getLogger(__name__)

HIGHEST = Decimal("999999999999.999")  # what the columns hold

Row = TypeVar("Row", Account, Call)


class InsufficientFunds(ValueError):
    """The change would take the account past its credit limit."""


def lock(account_id: int) -> Account:
    """The account as it is now, locked until the current transaction ends.

    `Account.DoesNotExist` when it is gone.
    """
    account = _locked(Account.objects.filter(pk=account_id))
    if account is None:
        raise Account.DoesNotExist(f"There is no account {account_id}.")
    return account


def balance_after(account: Account, amount: Decimal) -> Decimal:
    """What the balance would be with `amount` added.

    `InsufficientFunds` past the credit limit, `ValueError` when the columns cannot hold it.
    """
    balance = account.balance + _money(amount)
    if account.funds + amount < 0:
        raise InsufficientFunds(
            f"{account} has {account.funds} to spend, which does not reach {-amount}."
        )
    if balance > HIGHEST:
        raise ValueError(f"A balance of {balance} is more than an account can hold ({HIGHEST}).")
    return balance


def top_up(account: Account, amount: Decimal, note: str = "", by: Any = None) -> LedgerEntry:
    """Credit a payment of `amount` > 0. `by` is the user who did it."""
    if _money(amount) <= 0:
        raise ValueError(f"A top-up is more than 0, not {amount}. Use adjust() to take money back.")
    return _book(account, LedgerEntry.Kind.TOP_UP, amount, note, by)


def adjust(account: Account, amount: Decimal, note: str = "", by: Any = None) -> LedgerEntry:
    """Correct the balance by `amount`, up or down; `InsufficientFunds` past the credit limit."""
    return _book(account, LedgerEntry.Kind.ADJUSTMENT, amount, note, by)


def hold(call: Call, amount: Decimal) -> bool:
    """Reserve `amount` more for the call, all or nothing.

    False: the funds do not reach it, or the call is settled or another switch's.
    """
    if _money(amount) < 0:
        raise ValueError(f"A hold of {amount} is less than nothing.")
    with transaction.atomic():
        row = _locked(_ours(call))
        if row is None:
            return False
        account = lock(row.account_id)
        if amount > account.funds:
            return False
        _hold(account, row, amount)
    call.held = row.held
    return True


def extend(call: Call, wanted: Decimal) -> Decimal:
    """Raise the call's hold to `wanted`, or as far as the funds reach; the hold then in force.

    It is never lowered. 0 when the call is settled or another switch's: this owner holds nothing
    any more.
    """
    with transaction.atomic():
        row = _locked(_ours(call))
        if row is None:
            return FREE
        account = lock(row.account_id)
        more = min(_money(wanted) - row.held, account.funds)
        if more > 0:
            _hold(account, row, more)
    call.held = row.held
    return row.held


def settle(call: Call, a_cost: Decimal, b_cost: Decimal) -> bool:
    """Charge the legs' costs, once, and release what is left of the hold.

    False: it is settled already, or another switch's. A leg without cost gets no entry.
    `call.debit` becomes what was charged: the costs, or, should they outrun the hold and all free
    funds, as much of them as the credit limit allows.
    """
    costs = {Side.A: _money(a_cost), Side.B: _money(b_cost)}
    if min(costs.values()) < 0:
        raise ValueError(f"A leg cannot cost less than nothing: {a_cost} and {b_cost}.")
    now = timezone.now()
    with transaction.atomic():
        row = _locked(_ours(call))
        if row is None:
            return False
        account = lock(row.account_id)
        affordable = account.funds + row.held
        balance = account.balance
        for side, cost in costs.items():
            charge = min(cost, affordable)
            if charge > 0:
                affordable -= charge
                balance -= charge
                _enter(account, LedgerEntry.Kind.CHARGE, -charge, balance, call=row, side=side)
        debit = account.balance - balance
        if debit < sum(costs.values()):
            logger.error(
                "Call %s cost %s, but only %s could be charged within the credit limit.",
                row.pk,
                sum(costs.values()),
                debit,
            )
        Account.objects.filter(pk=account.pk).update(balance=balance, held=account.held - row.held)
        Call.objects.filter(pk=row.pk).update(held=FREE, debit=debit, settled_at=now)
    call.held, call.debit, call.settled_at = FREE, debit, now
    return True


def _ours(call: Call) -> QuerySet[Call]:
    return Call.objects.filter(pk=call.pk, fence=call.fence, settled_at=None)


def _locked(rows: QuerySet[Row]) -> Row | None:
    """The one row, locked; an update that changes nothing where the database has no SELECT ... FOR
    UPDATE (SQLite).
    """
    if connection.features.has_select_for_update:
        no_key = connection.features.has_select_for_no_key_update
        return rows.select_for_update(no_key=no_key).order_by().first()
    return rows.order_by().first() if rows.update(held=F("held")) else None


def _hold(account: Account, row: Call, more: Decimal) -> None:
    row.held += more
    Account.objects.filter(pk=account.pk).update(held=account.held + more)
    Call.objects.filter(pk=row.pk).update(held=row.held)


def _book(
    account: Account, kind: LedgerEntry.Kind, amount: Decimal, note: str, by: Any
) -> LedgerEntry:
    if not amount:
        raise ValueError("An entry of 0 changes nothing.")
    with transaction.atomic():
        row = lock(account.pk)
        balance = balance_after(row, amount)
        Account.objects.filter(pk=row.pk).update(balance=balance)
        entry = _enter(row, kind, amount, balance, note=note, created_by=by)
    account.balance, account.held = balance, row.held
    return entry


def _enter(
    account: Account, kind: LedgerEntry.Kind, amount: Decimal, balance: Decimal, **facts: Any
) -> LedgerEntry:
    return LedgerEntry.objects.create(
        account=account, kind=kind, amount=amount, balance=balance, **facts
    )


def _money(amount: Decimal) -> Decimal:
    """The amount, which must be a `Decimal` of whole thousandths."""
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise ValueError(f"{amount!r} is not an amount of money: that is a finite Decimal.")
    if abs(amount) > HIGHEST or amount % THOUSANDTH:
        raise ValueError(f"{amount} is not an amount of money: three decimals, {HIGHEST} at most.")
    return amount
