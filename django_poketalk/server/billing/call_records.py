"""Call records for accountants: a row for each call, from which each figure can be computed again.

docs/reference/call-records.md describes the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from django_poketalk.protocol import numbers

from ..models import Account, Call, Leg, LegABilling, Side
from .rating import FREE, Tariff, billed_seconds

BATCH = 1000  # calls read at once
TARIFF = tuple(field.name for field in fields(Tariff))


class Record:
    """A call with the leg of each side that counts: the one that was answered, or the last."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._legs: dict[str, Leg] = {}
        for leg in sorted(call.legs.all(), key=lambda leg: (leg.answered_at is not None, leg.pk)):
            self._legs[leg.side] = leg

    def leg_field(self, side: Side, name: str) -> Any:
        """The value of a field of the leg, or None if it was never rung."""
        leg = self._legs.get(side)
        return None if leg is None else getattr(leg, name)

    def tariff_field(self, side: Side, name: str) -> Any:
        """A figure of the leg's tariff as billed, or None if it was never rung."""
        leg = self._legs.get(side)
        return None if leg is None else getattr(leg.tariff, name)

    def destination(self, side: Side) -> str:
        """The destination of the leg's rate, as billed. Older legs do not store it."""
        rate = self.call.rate_a if side is Side.A else self.call.rate_b
        return self.leg_field(side, "destination") or (rate.destination if rate else "")

    def billed_from(self, side: Side) -> Side:
        """The leg with whose answer the billing of this leg begins."""
        is_free = self.call.leg_a_billed == LegABilling.CONNECTED
        return Side.B if side is Side.A and is_free else side

    def billed_seconds(self, side: Side) -> int:
        """The seconds for which the leg was billed: 0 if its billing did not begin."""
        leg, first = self._legs.get(side), self._legs.get(self.billed_from(side))
        if leg is None or leg.answered_at is None or first is None or first.answered_at is None:
            return 0
        return billed_seconds(leg.tariff, first.duration)

    def cost(self, side: Side) -> Decimal:
        """What the leg cost."""
        return self.leg_field(side, "cost") or FREE


def iso(moment: datetime | None) -> str | None:
    """The time in the current time zone, with its offset from UTC."""
    if moment is None:
        return None
    return timezone.localtime(moment).isoformat(timespec="microseconds")


def _leg_columns(side: Side) -> dict[str, Callable[[Record], Any]]:
    number = "from_number" if side is Side.A else "to_number"
    return {
        "number": lambda record: getattr(record.call, number),
        "destination": lambda record: record.destination(side),
        "answered": lambda record: iso(record.leg_field(side, "answered_at")),
        "ended": lambda record: iso(record.leg_field(side, "ended_at")),
        "seconds": lambda record: record.leg_field(side, "duration") or 0,
        "billed_from": lambda record: record.billed_from(side),
        "billed_seconds": lambda record: record.billed_seconds(side),
        **{name: partial(Record.tariff_field, side=side, name=name) for name in TARIFF},
        "cost": lambda record: record.cost(side),
        "hangup_cause": lambda record: record.leg_field(side, "hangup_cause"),
    }


COLUMNS: dict[str, Callable[[Record], Any]] = {
    "call_id": lambda record: record.call.pk,
    "account": lambda record: record.call.account.name,
    "custom": lambda record: record.call.custom,
    "time_zone": lambda record: timezone.get_current_timezone_name(),
    "requested": lambda record: iso(record.call.created_at),
    "ended": lambda record: iso(record.call.ended_at),
    "charged": lambda record: iso(record.call.charged_at),
    "status": lambda record: record.call.status,
    "hangup_cause": lambda record: record.call.hangup_cause,
    "max_duration": lambda record: record.call.max_duration,
    "currency": lambda record: record.call.account.currency,
    "cost": lambda record: record.call.cost,
    **{
        f"{side.lower()}_{name}": value
        for side in Side
        for name, value in _leg_columns(side).items()
    },
}


def with_legs(calls: QuerySet[Call]) -> QuerySet[Call]:
    """The calls with all that `rows` needs."""
    return calls.select_related("account", "rate_a", "rate_b").prefetch_related("legs")


def charged(accounts: Iterable[Account], since: datetime, until: datetime) -> Iterator[Call]:
    """The calls that were charged from `since` (inclusive) to `until` (exclusive), account by
    account, oldest first. Free calls count as charged at their end.

    Their costs add up to the charges on the statements of this period. Each batch is a query of its
    own, so that no database cursor stays open.
    """
    for account in accounts:
        period = Call.objects.filter(account=account, charged_at__lt=until)
        rows = with_legs(period).order_by("charged_at", "id")
        batch = list(rows.filter(charged_at__gte=since)[:BATCH])
        while batch:
            yield from batch
            if len(batch) < BATCH:
                break
            last = batch[-1]
            later = Q(charged_at__gt=last.charged_at) | Q(id__gt=last.pk)
            batch = list(rows.filter(later, charged_at__gte=last.charged_at)[:BATCH])


def rows(calls: Iterable[Call], *, whole_numbers: bool) -> Iterator[list[Any]]:
    """The values of each call in `COLUMNS`, in the current time zone. Numbers are masked unless
    `whole_numbers`.
    """
    for call in calls:
        if not whole_numbers:
            call.from_number = numbers.mask(call.from_number)
            call.to_number = numbers.mask(call.to_number)
            call.custom = numbers.mask_in_records(call.custom)
        record = Record(call)
        yield [value(record) for value in COLUMNS.values()]
