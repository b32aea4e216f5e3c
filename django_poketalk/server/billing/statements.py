"""An account's statement: opening balance, credits, debits and closing balance of a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from ..models import Account, LedgerEntry
from .rating import FREE, THOUSANDTH


@dataclass(frozen=True, slots=True)
class Statement:
    """Money is in the account's currency. `entries` are those of the period, newest first.

    `paid_in` is 0 or more, `paid_out` 0 or less, and opening + paid in + paid out = closing.
    """

    opening: Decimal
    paid_in: Decimal
    paid_out: Decimal
    entries: QuerySet[LedgerEntry]

    @property
    def closing(self) -> Decimal:
        """The balance at the end of the period."""
        return self.opening + self.paid_in + self.paid_out


def statement(account: Account, since: datetime, until: datetime) -> Statement:
    """The account's statement from `since` (inclusive) to `until` (exclusive), in two queries.

    Consecutive statements match: the opening balance is the newest balance minus all entries since.
    An older entry's own balance cannot be used, because hosts with different clocks may book in
    another order than that of the times.
    """
    newest_first = LedgerEntry.objects.filter(account=account).order_by("-id")
    newest, balance = newest_first.values_list("id", "balance").first() or (0, FREE)
    later = newest_first.filter(id__lte=newest, created_at__gte=since)
    entries = later.filter(created_at__lt=until)
    sums = later.order_by().aggregate(
        booked=Sum("amount"),
        paid_in=Sum("amount", filter=Q(created_at__lt=until, amount__gt=0)),
        paid_out=Sum("amount", filter=Q(created_at__lt=until, amount__lt=0)),
    )
    return Statement(
        opening=balance - _exact(sums["booked"]),
        paid_in=_exact(sums["paid_in"]),
        paid_out=_exact(sums["paid_out"]),
        entries=entries,
    )


def _exact(total: Decimal | None) -> Decimal:
    # SQLite adds floats.
    return FREE if total is None else total.quantize(THOUSANDTH)
