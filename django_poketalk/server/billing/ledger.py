"""Money: the only code that writes an account's balance and the holds of its live calls.

A call must hold money before it can spend it: the first slice at admission (`queue`), then more as
the call goes on. When it ends, its hold is released and the cost of each leg is charged
(`LedgerBatch`). Row locks are always taken in the same order (calls, then account), so that
balance − held never passes the credit limit, and the day's charges and holds never pass the
account's limit per day. Sums are computed in Python from the locked row: SQLite computes in floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from django_poketalk.shared.compiled import CompiledQuery
from django_poketalk.shared.logs import get_logger

from ..database import bulk_sql
from ..database.clock import database_now
from ..models import Account, Call, LedgerEntry, Side
from ..models.accounts import MONEY, WARNING
from .rating import FREE, THOUSANDTH

logger = get_logger(__name__)

MAX_AMOUNT = Decimal("999999999999.999")  # the columns' maximum
KEY_LENGTH = 32
LATEST_WEIGHT = Decimal("0.1")  # of the latest call in the average cost

Row = TypeVar("Row", Account, Call)


class InsufficientFunds(ValueError):
    """The change would take the account past its credit limit."""


class NotReversible(ValueError):
    """The entry is itself a reversal, or was already reversed."""


def lock(account_id: int) -> Account:
    """The current row of the account, locked until the current transaction ends, with `locked_at`.

    `Account.DoesNotExist` if it was deleted.
    """
    _lock_without_select(Account.objects.filter(pk=account_id))
    found = ACCOUNT.instances(account_id)
    if not found:
        raise Account.DoesNotExist(f"There is no account {account_id}.")
    account: Account = found[0]
    account.locked_at = database_now()
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


def reverse(entry: LedgerEntry, reason: str, by: Any = None) -> LedgerEntry:
    """Undo an entry: book its amount with the opposite sign, linked to it by `reverses`. The reason
    (up to 200 characters) becomes the note. What the account has spent today does not change.

    `NotReversible` for a reversal, or if the entry was reversed before; `InsufficientFunds` past
    the credit limit, as for a top-up that is spent already; `ValueError` without a reason.
    """
    if not reason.strip():
        raise ValueError(_("A reversal needs a reason."))
    with transaction.atomic():
        account = lock(entry.account_id)
        check_reversible(entry, account)
        return _insert(
            account,
            kind=LedgerEntry.Kind.REVERSAL,
            amount=-entry.amount,
            note=reason.strip(),
            created_by=by,
            reverses=entry,
            call_id=entry.call_id,
            side=entry.side,
        )


def check_reversible(entry: LedgerEntry, account: Account) -> None:
    """Raise what `reverse` would raise, for the current row of the entry's account."""
    if entry.kind == LedgerEntry.Kind.REVERSAL:
        raise NotReversible(_("A reversal cannot be reversed. Book an adjustment instead."))
    if made := LedgerEntry.objects.filter(reverses=entry.pk).values_list("pk", flat=True).first():
        raise NotReversible(_("This entry was already reversed by entry %(pk)d.") % {"pk": made})
    balance_after(account, -entry.amount)


def day_of(moment: datetime) -> date:
    """The day in the project's `TIME_ZONE`, whatever the active time zone."""
    return timezone.localdate(moment, timezone.get_default_timezone())


def today() -> date:
    """The current day by the database's clock."""
    return day_of(database_now())


class LedgerBatch:
    """Calls of one account, by primary key and fence, locked with the account until the current
    transaction ends. `extend` and `charge` compute changes, which `close` returns.

    A call that was charged before, or whose row has another fence, is left out: a switch that lost
    a call must not write it.
    """

    def __init__(self, fences: Mapping[int, int]) -> None:
        self._rows = {row.pk: row for row in _lock_uncharged(fences)}
        self._entries: list[LedgerEntry] = []
        if self._rows:
            [account] = {row.account for row in self._rows.values()}
            self._account = lock(account)
            self._day = day_of(self._account.locked_at)

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
        if charged:
            account.average_cost = _average(account.average_cost, charged)
        account.spent = account.charged(self._day) + charged
        account.spent_on = max(self._day, account.spent_on or self._day)
        account.held -= row.held
        row.held, row.cost = FREE, charged

    def close(self) -> tuple[dict[int, dict[str, Any]], list[bulk_sql.Statement]]:
        """Return the columns of each changed call, by primary key, and the statements that write
        the account and its entries. The caller must write both in the same transaction.
        """
        if not self._rows:
            return {}, []
        now = self._account.locked_at
        columns: dict[int, dict[str, Any]] = {}
        for row in self._rows.values():
            if row.cost is not None:
                columns[row.pk] = {"held": FREE, "cost": row.cost, "charged_at": now}
            elif row.held != row.held_before:
                columns[row.pk] = {"held": row.held}
        if not columns:
            return {}, []
        for entry in self._entries:
            entry.created_at = now
        account = {name: getattr(self._account, name) for name in MONEY}
        return columns, [
            *bulk_sql.updates(Account, ("id",), [(account, (self._account.pk,))]),
            *bulk_sql.inserts(self._entries),
        ]

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
    if amount > account.spendable(day_of(account.locked_at)):
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
    """The calls that have this fence and were not charged. All are locked in primary key order."""
    pks = sorted(fences)
    _lock_without_select(Call.objects.filter(pk__in=pks))
    return [
        _Uncharged(pk, account, held, held)
        for pk, fence, account, held, charged_at in CALLS.rows(pks)
        if fence == fences[pk] and charged_at is None
    ]


def _lock_without_select(rows: QuerySet[Row]) -> None:
    """Lock the rows if the database has no SELECT ... FOR UPDATE (SQLite), by an update that
    changes nothing.
    """
    if not connection.features.has_select_for_update:
        rows.update(held=F("held"))


def _for_update(rows: QuerySet[Row]) -> QuerySet[Row]:
    return rows.select_for_update(no_key=connection.features.has_select_for_no_key_update)


ACCOUNT = CompiledQuery(lambda pk: _for_update(Account.objects.filter(pk=pk).order_by()))
CALLS = CompiledQuery(
    lambda pks: _for_update(Call.objects.filter(pk__in=pks).order_by("pk")).values_list(
        "pk", "fence", "account_id", "held", "charged_at"
    )
)


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
            return _booked_before(made, row, kind, amount, key)
        entry = _insert(
            row, kind=kind, amount=amount, note=note, created_by=by, idempotency_key=key or None
        )
    account.balance, account.held = row.balance, row.held
    return entry


def _insert(account: Account, **columns: Any) -> LedgerEntry:
    """Book an entry of the locked account."""
    account.balance = balance_after(account, columns["amount"])
    armed = {} if account.is_low else dict.fromkeys(WARNING)
    Account.objects.filter(pk=account.pk).update(balance=account.balance, **armed)
    return LedgerEntry.objects.create(
        account=account, balance=account.balance, created_at=account.locked_at, **columns
    )


def _booked_before(
    made: LedgerEntry, account: Account, kind: LedgerEntry.Kind, amount: Decimal, key: str | None
) -> LedgerEntry:
    """The entry that an earlier call with this key has made, as `repeated`. `ValueError` if it is
    another booking.
    """
    if made.idempotency_key != key:  # for MariaDB, "a", "A" and "a " are equal
        raise ValueError(f"For this database, {key!r} equals the key {made.idempotency_key!r}.")
    if (made.account_id, made.kind, made.amount) != (account.pk, kind, amount):
        raise ValueError(_("This was already booked with another amount or account."))
    made.repeated = True
    return made


def _average(before: Decimal | None, cost: Decimal) -> Decimal:
    """The average cost of a call after this one, which counts for `LATEST_WEIGHT`."""
    if before is None:
        return cost
    return (before + (cost - before) * LATEST_WEIGHT).quantize(THOUSANDTH)


def _money(amount: Decimal) -> Decimal:
    """The amount. `ValueError` unless it is a `Decimal` of whole thousandths."""
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise ValueError(f"{amount!r} is not a finite Decimal.")
    if abs(amount) > MAX_AMOUNT or amount % THOUSANDTH:
        raise ValueError(f"{amount} has more than three decimals, or is greater than {MAX_AMOUNT}.")
    return amount
