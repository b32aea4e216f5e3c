"""Money: the only code that writes an account's balance and the holds of its live calls.

A call must hold money before it can spend it: the first slice at admission (`queue`), then more as
the call goes on. When it ends, its hold is released and the cost of each leg is charged
(`LedgerBatch`). Row locks are always taken in the same order (calls, then account), so that
balance − held never passes the credit limit, and the day's charges and holds never pass the
account's limit per day. Sums are computed in Python from the locked row: SQLite computes in floats.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..database import bulk_sql
from ..models import Account, Call, LedgerEntry, Side
from ..models.accounts import MONEY
from .rating import FREE, THOUSANDTH

logger = logging.getLogger(__name__)

MAX_AMOUNT = Decimal("999999999999.999")  # the columns' maximum
KEY_LENGTH = 32

Row = TypeVar("Row", Account, Call)


class InsufficientFunds(ValueError):
    """The change would take the account past its credit limit."""


def lock(account_id: int) -> Account:
    """The current row of the account, locked until the current transaction ends.

    `Account.DoesNotExist` if it was deleted.
    """
    account = _lockable(Account.objects.filter(pk=account_id).order_by()).first()
    if account is None:
        raise Account.DoesNotExist(f"There is no account {account_id}.")
    return account


def balance_after(account: Account, amount: Decimal) -> Decimal:
    """The balance with `amount` added.

    `InsufficientFunds` past the credit limit, `ValueError` if the column cannot hold it.
    """
    balance = account.balance + _money(amount)
    if account.funds + amount < 0:
        raise InsufficientFunds(
            _("%(account)s has only %(funds)s available, not %(amount)s.")
            % {"account": account, "funds": account.funds, "amount": -amount}
        )
    if balance > MAX_AMOUNT:
        raise ValueError(
            _("The balance would be %(balance)s; the maximum is %(most)s.")
            % {"balance": balance, "most": MAX_AMOUNT}
        )
    return balance


def top_up(
    account: Account, amount: Decimal, note: str = "", by: Any = None, key: str | None = None
) -> LedgerEntry:
    """Credit a payment of `amount` > 0. `by` is the user who enters it.

    With a `key` (up to 32 characters) it is booked once: a second call returns the same entry with
    `repeated` set. `ValueError` if the key was used for another amount or account.
    """
    if key and len(key) > KEY_LENGTH:
        raise ValueError(f"The key has {len(key)} characters; the maximum is {KEY_LENGTH}.")
    if _money(amount) <= 0:
        raise ValueError(
            f"A top-up must be greater than 0, not {amount}. To debit the account, use adjust()."
        )
    return _book(account, LedgerEntry.Kind.TOP_UP, amount, note, by, key)


def adjust(
    account: Account, amount: Decimal, note: str = "", by: Any = None, key: str | None = None
) -> LedgerEntry:
    """Correct the balance by a positive or negative `amount`. `InsufficientFunds` past the credit
    limit. For `key` see `top_up`.
    """
    return _book(account, LedgerEntry.Kind.ADJUSTMENT, amount, note, by, key)


def today() -> date:
    """The current day in the project's `TIME_ZONE`, whatever the active time zone."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


class LedgerBatch:
    """Calls of one account, by primary key and fence, locked with the account until the current
    transaction ends. `extend` and `charge` compute changes; `close` writes them all at once.

    A call that was charged before, or whose row has another fence, is left out: a switch that lost
    a call must not write it.
    """

    def __init__(self, fences: Mapping[int, int]) -> None:
        self._rows = {row.pk: row for row in _lock_uncharged(fences)}
        self._entries: list[LedgerEntry] = []
        self._day = today()
        if self._rows:
            [account] = {row.account for row in self._rows.values()}
            self._account = lock(account)

    def extend(self, call: int, amount: Decimal) -> Decimal:
        """Raise the call's hold to `amount`, but only within the funds and the day's limit.
        Returns the new hold, 0 if the call is not in the batch.
        """
        row = self._rows.get(call)
        if row is None:
            return FREE
        account = self._account
        spendable = account.spendable(self._day)
        more = min(_money(amount) - row.held, spendable)
        if more < amount - row.held and spendable < account.funds:
            logger.warning(
                "Call %s gets no further hold: account %s (%s) is at its limit of %s per day.",
                call,
                account.pk,
                account,
                account.max_spend_per_day,
            )
        if more > 0:
            row.held += more
            account.held += more
        return row.held

    def charge(self, call: int, a_cost: Decimal, b_cost: Decimal) -> None:
        """Charge the costs of the call's legs and release its hold, if the call is in the batch. A
        leg without cost gets no entry.

        Costs above the hold and the funds are charged up to the credit limit.
        """
        costs = {Side.A: _money(a_cost), Side.B: _money(b_cost)}
        if min(costs.values()) < 0:
            raise ValueError(f"The cost of a leg is negative: {a_cost} and {b_cost}.")
        row = self._rows.get(call)
        if row is None:
            return
        account, charged = self._account, FREE
        affordable = account.funds + row.held
        for side, cost in costs.items():
            charge = min(cost, affordable - charged)
            if charge > 0:
                charged += charge
                account.balance -= charge
                self._enter(call, side, charge)
        if charged < sum(costs.values()):
            logger.error(
                "Call %s cost %s, but only %s was charged: the credit limit is reached.",
                call,
                sum(costs.values()),
                charged,
            )
        account.spent = account.charged(self._day) + charged
        account.spent_on = max(self._day, account.spent_on or self._day)
        account.held -= row.held
        row.held, row.cost = FREE, charged

    def close(self) -> None:
        """Write all changes."""
        now = timezone.now()
        charged = [
            ({"held": FREE, "cost": row.cost, "charged_at": now}, (row.pk,))
            for row in self._rows.values()
            if row.cost is not None
        ]
        extended = [
            ({"held": row.held}, (row.pk,))
            for row in self._rows.values()
            if row.cost is None and row.held != row.held_before
        ]
        if charged or extended:
            account = {name: getattr(self._account, name) for name in MONEY}
            bulk_sql.update(Account, ("id",), [(account, (self._account.pk,))])
        for entry in self._entries:
            entry.created_at = now
        LedgerEntry.objects.bulk_create(self._entries)
        bulk_sql.update(Call, ("id",), charged)
        bulk_sql.update(Call, ("id",), extended)

    def _enter(self, call: int, side: Side, charge: Decimal) -> None:
        self._entries.append(
            LedgerEntry(
                account_id=self._account.pk,
                kind=LedgerEntry.Kind.CHARGE,
                amount=-charge,
                balance=self._account.balance,
                call_id=call,
                side=side,
            )
        )


def queue(call: Call, account: Account, amount: Decimal) -> bool:
    """Insert a new call of the account with a hold of `amount`. `lock` must have returned the
    account in the current transaction.

    Returns False and writes nothing if the funds or the day's limit do not allow it.
    """
    if _money(amount) < 0:
        raise ValueError(f"The hold is negative: {amount}.")
    if amount > account.spendable(today()):
        return False
    account.held += amount
    Account.objects.filter(pk=account.pk).update(held=account.held)
    call.held = amount
    call.save()
    return True


@dataclass(slots=True)
class _Uncharged:
    """The money of a call that has not been charged, as stored and as changed."""

    pk: int
    account: int
    held: Decimal
    held_before: Decimal
    cost: Decimal | None = None  # once it is charged


def _lock_uncharged(fences: Mapping[int, int]) -> list[_Uncharged]:
    """The calls that have this fence and were not charged, locked in primary key order."""
    rows = Call.objects.filter(pk__in=sorted(fences), charged_at=None).order_by("pk")
    found = _lockable(rows).values_list("pk", "fence", "account_id", "held")
    return [
        _Uncharged(pk, account, held, held)
        for pk, fence, account, held in found
        if fence == fences[pk]
    ]


def _lockable(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The rows, locked when they are read. Without SELECT ... FOR UPDATE (SQLite), an update that
    changes nothing locks them now.
    """
    if connection.features.has_select_for_update:
        no_key = connection.features.has_select_for_no_key_update
        return rows.select_for_update(no_key=no_key)
    rows.update(held=F("held"))
    return rows


def _book(
    account: Account,
    kind: LedgerEntry.Kind,
    amount: Decimal,
    note: str,
    by: Any,
    key: str | None,
) -> LedgerEntry:
    if not amount:
        raise ValueError("The amount is 0.")
    with transaction.atomic():
        row = lock(account.pk)
        made = LedgerEntry.objects.filter(idempotency_key=key).first() if key else None
        if made is not None:
            return _again(made, row, kind, amount, key)
        balance = balance_after(row, amount)
        Account.objects.filter(pk=row.pk).update(balance=balance)
        entry = LedgerEntry.objects.create(
            account=row,
            kind=kind,
            amount=amount,
            balance=balance,
            note=note,
            created_by=by,
            idempotency_key=key or None,
        )
    account.balance, account.held = balance, row.held
    return entry


def _again(
    made: LedgerEntry, account: Account, kind: LedgerEntry.Kind, amount: Decimal, key: str | None
) -> LedgerEntry:
    if made.idempotency_key != key:  # for MariaDB, "a", "A" and "a " are equal
        raise ValueError(f"For this database, {key!r} equals the key {made.idempotency_key!r}.")
    if (made.account_id, made.kind, made.amount) != (account.pk, kind, amount):
        raise ValueError(_("This was already booked with another amount or account."))
    made.repeated = True
    return made


def _money(amount: Decimal) -> Decimal:
    """The amount. `ValueError` unless it is a `Decimal` of whole thousandths."""
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise ValueError(f"{amount!r} is not a finite Decimal.")
    if abs(amount) > MAX_AMOUNT or amount % THOUSANDTH:
        raise ValueError(f"{amount} has more than three decimals, or is greater than {MAX_AMOUNT}.")
    return amount
