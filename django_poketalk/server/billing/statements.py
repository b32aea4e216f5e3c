"""An account's statement: the balance before and after a period, and what changed it in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Prefetch, Q, QuerySet, Sum

from ..models import Account, LedgerEntry, Leg, Side
from .call_records import Record
from .rating import FREE, THOUSANDTH

BATCH = 1000  # entries read at once
SKEW = timedelta(days=7)  # by which the database's clock may have been set back
Kind = LedgerEntry.Kind


@dataclass(frozen=True, slots=True)
class Statement:
    """Money is in the account's currency. `entries` are those of the period, oldest first, with
    all that `Line` needs.

    `charges` is 0 or less, `top_ups` 0 or more. `corrections` are adjustments and reversals.
    Opening balance + top-ups + charges + corrections = closing balance.
    """

    opening: Decimal
    top_ups: Decimal
    charges: Decimal
    corrections: Decimal
    entries: QuerySet[LedgerEntry]

    @property
    def closing(self) -> Decimal:
        """The balance at the end of the period."""
        return self.opening + self.top_ups + self.charges + self.corrections


def statement(account: Account, since: datetime, until: datetime) -> Statement:
    """The account's statement from `since` (inclusive) to `until` (exclusive).

    Charges, which may be very many, are not added up: they are the difference between the balances
    that the other entries do not explain.
    """
    everything = LedgerEntry.objects.filter(account=account)
    newest = everything.order_by("-id").values_list("id", flat=True).first() or 0
    known = everything.filter(id__lte=newest)  # in each of the queries
    opening, closing = _balance(known, since), _balance(known, until)
    within = known.filter(created_at__gte=since, created_at__lt=until)
    sums = within.exclude(kind=Kind.CHARGE).aggregate(
        all=Sum("amount"), top_ups=Sum("amount", filter=Q(kind=Kind.TOP_UP))
    )
    others, top_ups = _exact(sums["all"]), _exact(sums["top_ups"])
    return Statement(
        opening=opening,
        top_ups=top_ups,
        charges=closing - opening - others,
        corrections=others - top_ups,
        entries=_complete(within).order_by("created_at", "id"),
    )


def _balance(entries: QuerySet[LedgerEntry], moment: datetime) -> Decimal:
    """The sum of all of the account's entries before the moment.

    It is the balance after the last of them, corrected for entries whose times have another order:
    all times are of the database's clock, which may have been set back.
    """
    is_before = Q(created_at__lt=moment)
    last = entries.filter(is_before).order_by("-created_at", "-id").first()
    if last is None:
        return FREE
    near = entries.filter(
        created_at__gte=last.created_at - SKEW, created_at__lte=last.created_at + SKEW
    )
    sums = near.aggregate(
        missing=Sum("amount", filter=is_before & Q(id__gt=last.pk)),
        surplus=Sum("amount", filter=~is_before & Q(id__lt=last.pk)),
    )
    return last.balance + _exact(sums["missing"]) - _exact(sums["surplus"])


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with the phone that it is about. `number` is in digits, "" for an entry without a
    call or after the number was forgotten. `seconds` are those that were billed: None without a
    call.
    """

    entry: LedgerEntry
    number: str = ""
    destination: str = ""
    seconds: int | None = None


def lines_of(entries: Iterable[LedgerEntry]) -> list[Line]:
    """The lines of these entries of a statement."""
    return [_line(entry) for entry in entries]


def all_lines(found: Statement) -> Iterator[Line]:
    """All lines, read in batches, so that no cursor of the database stays open."""
    entries: QuerySet[LedgerEntry] = found.entries
    batch = list(entries[:BATCH])
    while batch:
        yield from lines_of(batch)
        last = batch[-1]
        rest = entries.filter(created_at__gte=last.created_at).exclude(
            created_at=last.created_at, pk__lte=last.pk
        )
        batch = list(rest[:BATCH]) if len(batch) == BATCH else []


def _complete(entries: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
    """The entries with all that lines need."""
    related = ("created_by", "call__rate_a", "call__rate_b", "reversal")
    legs = Prefetch("call__legs", Leg.objects.defer("dialog"))
    return entries.select_related(*related).prefetch_related(legs)


def _line(entry: LedgerEntry) -> Line:
    if entry.call is None or not entry.side:
        return Line(entry)
    record, side = Record(entry.call), Side(entry.side)
    number = record.leg_field(side, "number") or ""
    return Line(entry, number, record.destination(side), record.billed_seconds(side))


def _exact(total: Decimal | None) -> Decimal:
    # SQLite adds floats.
    return FREE if total is None else total.quantize(THOUSANDTH)
