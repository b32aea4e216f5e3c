"""Money: the only code that writes an account's balance and what live calls hold of it.

A call holds money before it can spend it: at admission the first slice (`queue`), then more as the
call goes on. When the call ends, its hold is released and the cost of each leg is charged
(`LedgerBatch`). All of it happens under row locks, taken in one order (calls, then account), so
balance − held never passes the credit limit, and what is charged and held today never passes the
account's spend per day. Sums are made in Python from the locked row: SQLite's arithmetic is in
floats.
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

HIGHEST = Decimal("999999999999.999")  # what the columns hold
LONGEST_KEY = 32

Row = TypeVar("Row", Account, Call)


class InsufficientFunds(ValueError):
    """The change would take the account past its credit limit."""


def lock(account_id: int) -> Account:
    """The account as it is now, locked until the current transaction ends.

    `Account.DoesNotExist` when it is gone.
    """
    account = _lockable(Account.objects.filter(pk=account_id).order_by()).first()
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
            _("%(account)s has %(funds)s to spend, which does not reach %(amount)s.")
            % {"account": account, "funds": account.funds, "amount": -amount}
        )
    if balance > HIGHEST:
        raise ValueError(
            _("A balance of %(balance)s is more than an account can hold (%(most)s).")
            % {"balance": balance, "most": HIGHEST}
        )
    return balance


def top_up(
    account: Account, amount: Decimal, note: str = "", by: Any = None, key: str | None = None
) -> LedgerEntry:
    """Credit a payment of `amount` > 0. `by` is the user who did it.

    With a `key` (up to 32 characters), once: whoever asks again with it gets the entry that it
    made, `repeated`. A key that stands for another amount or account is a `ValueError`.
    """
    if key and len(key) > LONGEST_KEY:
        raise ValueError(f"A key has {LONGEST_KEY} characters at most, not {len(key)}.")
    if _money(amount) <= 0:
        raise ValueError(f"A top-up is more than 0, not {amount}. Use adjust() to take money back.")
    return _book(account, LedgerEntry.Kind.TOP_UP, amount, note, by, key)


def adjust(
    account: Account, amount: Decimal, note: str = "", by: Any = None, key: str | None = None
) -> LedgerEntry:
    """Correct the balance by `amount`, up or down; `InsufficientFunds` past the credit limit.

    A `key` means what it means for `top_up`.
    """
    return _book(account, LedgerEntry.Kind.ADJUSTMENT, amount, note, by, key)


def today() -> date:
    """The day that charges are counted in: by the project's `TIME_ZONE`, whoever asks."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


class LedgerBatch:
    """Calls of one account, by their keys and fences, locked with it until the current transaction
    ends. What is done to them is reckoned here, and written by `close`, all at once.

    A call that was charged, or whose row carries another fence, is not among them: a switch that
    lost it writes nothing.
    """

    def __init__(self, fences: Mapping[int, int]) -> None:
        self._rows = {row.pk: row for row in _lock_uncharged(fences)}
        self._entries: list[dict[str, Any]] = []
        self._day = today()
        if self._rows:
            [account] = {row.account for row in self._rows.values()}
            self._account = lock(account)

    def extend(self, call: int, wanted: Decimal) -> Decimal:
        """Raise its hold to `wanted`, or as far as the funds and the day's spend reach; the hold
        then in force, 0 when it is not among them.
        """
        row = self._rows.get(call)
        if row is None:
            return FREE
        account = self._account
        spendable = account.spendable(self._day)
        more = min(_money(wanted) - row.held, spendable)
        if more < wanted - row.held and spendable < account.funds:
            logger.warning(
                "Call %s gets no longer hold: account %s (%s) is at its %s a day.",
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
        """Charge its legs' costs and release its hold, if it is among them. A leg without cost gets
        no entry.

        Should the costs outrun the hold and all free funds, as much of them is charged as the
        credit limit allows.
        """
        costs = {Side.A: _money(a_cost), Side.B: _money(b_cost)}
        if min(costs.values()) < 0:
            raise ValueError(f"A leg cannot cost less than nothing: {a_cost} and {b_cost}.")
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
                "Call %s cost %s, but only %s could be charged within the credit limit.",
                call,
                sum(costs.values()),
                charged,
            )
        account.spent = account.charged(self._day) + charged
        account.spent_on = max(self._day, account.spent_on or self._day)
        account.held -= row.held
        row.held, row.cost = FREE, charged

    def close(self) -> None:
        """Write it all."""
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
        bulk_sql.insert(LedgerEntry, [{**entry, "created_at": now} for entry in self._entries])
        bulk_sql.update(Call, ("id",), charged)
        bulk_sql.update(Call, ("id",), extended)

    def _enter(self, call: int, side: Side, charge: Decimal) -> None:
        self._entries.append(
            {
                "account_id": self._account.pk,
                "kind": LedgerEntry.Kind.CHARGE,
                "amount": -charge,
                "balance": self._account.balance,
                "call_id": call,
                "side": side,
                "note": "",
            }
        )


def queue(call: Call, account: Account, amount: Decimal) -> bool:
    """Insert a new call of the account, which holds `amount` from its beginning. The account is as
    `lock` gave it in the current transaction.

    False, and nothing is written: the funds or the day's spend do not reach it.
    """
    if _money(amount) < 0:
        raise ValueError(f"A hold of {amount} is less than nothing.")
    if amount > account.spendable(today()):
        return False
    account.held += amount
    bulk_sql.update(Account, ("id",), [({"held": account.held}, (account.pk,))])
    call.held = amount
    call.save()
    return True


@dataclass(slots=True)
class _Uncharged:
    """What a call's row says of its money, and what is to become of it."""

    pk: int
    account: int
    held: Decimal
    held_before: Decimal
    cost: Decimal | None = None  # what it is charged, once it is charged


def _lock_uncharged(fences: Mapping[int, int]) -> list[_Uncharged]:
    """Of these calls, those not charged yet and under the fence, locked in the order of their
    keys.
    """
    rows = Call.objects.filter(pk__in=sorted(fences), charged_at=None).order_by("pk")
    found = _lockable(rows).values_list("pk", "fence", "account_id", "held")
    return [
        _Uncharged(pk, account, held, held)
        for pk, fence, account, held in found
        if fence == fences[pk]
    ]


def _lockable(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The rows, locked by whoever reads them; now, by an update that changes nothing, where the
    database has no SELECT ... FOR UPDATE (SQLite).
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
        raise ValueError("An entry of 0 changes nothing.")
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
    if made.idempotency_key != key:  # MariaDB takes "a", "A" and "a " for the same
        raise ValueError(f"This database takes the key {key!r} for {made.idempotency_key!r}.")
    if (made.account_id, made.kind, made.amount) != (account.pk, kind, amount):
        raise ValueError(_("This was booked already, with another amount or account."))
    made.repeated = True
    return made


def _money(amount: Decimal) -> Decimal:
    """The amount, which must be a `Decimal` of whole thousandths."""
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise ValueError(f"{amount!r} is not an amount of money: that is a finite Decimal.")
    if abs(amount) > HIGHEST or amount % THOUSANDTH:
        raise ValueError(f"{amount} is not an amount of money: three decimals, {HIGHEST} at most.")
    return amount
