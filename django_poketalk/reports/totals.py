"""Stored totals of past days, so that a report of a year does not count a million calls again.

A day is counted when it can no longer change by itself: none of its calls is open, and events no
longer count for any of them. What changes a call later, such as a manual resolution or the erasure
of its number, notes that the day must be counted again (`models.call_totals.changing`). Until then,
reports count its calls, so that they are exact at any time.

Totals apply to reports over all calls, in the default time zone. All others count the calls.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..models import GRACE, CallRequest, CallTotals, ReportDay
from ..models.states import IS_OPEN
from ..shared.periods import DAY, Period, midnight
from . import counting
from .counting import Groups
from .figures import Figures

FIGURES = [field.name for field in fields(Figures)]
COLUMNS = {
    "outcome": ("day_id", "key"),
    "user": ("user_id",),
    "prefix": ("key", "country"),
    "service": ("key",),
}
# Until when events count for a call, and an hour for those that hang on their way to the database.
SETTLED = max(GRACE.values()) + timedelta(hours=1)
AGAIN = timedelta(hours=1)  # after which a day that could not be counted is checked again


def groups(kind: str, calls: QuerySet[CallRequest], period: Period) -> Groups:
    """The figures of these calls by key, as from `counting.BY[kind]`. A key may come more than
    once; its figures add up.
    """
    counted = _counted_days(calls, period)
    if counted:
        yield from _stored(kind, calls.db, counted)
    if spans := [(midnight(first), midnight(last + DAY)) for first, last in _runs(period, counted)]:
        yield from counting.BY[kind](calls, spans)


def count_days(now: datetime | None = None, *, seconds: float = 60) -> int:
    """Count the past days that are not counted yet, newest first, for at most this time. Returns
    how many were counted.
    """
    until = time.monotonic() + seconds
    counted = 0
    with timezone.override(None):
        for day in _uncounted_days(now or timezone.now()):
            counted += _count(day, now or timezone.now())
            if time.monotonic() > until:
                break
    return counted


def forget() -> None:
    """Let all days be counted again."""
    ReportDay.objects.update(is_counted=False, checked_at=None)


def _covers_all(calls: QuerySet[CallRequest]) -> bool:
    """Whether the queryset certainly has all calls, each once."""
    query = calls.query
    chosen: tuple[Any, ...] = (query.where, query.annotations, query.extra, query.combinator)
    is_part = query.is_sliced or query.distinct or any(chosen)
    return calls.model is CallRequest and not is_part and len(query.alias_map) <= 1


def _counted_days(calls: QuerySet[CallRequest], period: Period) -> set[date]:
    if not _covers_all(calls):
        return set()
    days = ReportDay.objects.using(calls.db).filter(
        is_counted=True,
        time_zone=timezone.get_current_timezone_name(),
        day__range=(period.first, period.last),
    )
    return set(days.values_list("day", flat=True))


def _stored(kind: str, alias: str, days: set[date]) -> Groups:
    """The totals of these days. Of days that are counted again meanwhile: the old or the new."""
    columns = COLUMNS[kind]
    found = CallTotals.objects.using(alias).filter(kind=kind, day__in=days)
    for group in found.values(*columns).annotate(**{f"all_{name}": Sum(name) for name in FIGURES}):
        yield (
            tuple(group[column] for column in columns),
            Figures(**{name: group[f"all_{name}"] for name in FIGURES}),
        )


def _runs(period: Period, without: set[date]) -> Iterator[tuple[date, date]]:
    """The first and the last day of each run of days of the period that are not in `without`."""
    first: date | None = None
    day = period.first
    while day <= period.last:
        if day in without:
            if first is not None:
                yield first, day - DAY
            first = None
        else:
            first = first or day
        day += DAY
    if first is not None:
        yield first, period.last


def _uncounted_days(now: datetime) -> list[date]:
    """Days from that of the first call until the last that may be countable, newest first."""
    first = CallRequest.objects.order_by("created_at").values_list("created_at", flat=True).first()
    if first is None:
        return []
    checked = Q(checked_at__gt=now - AGAIN)
    done = Q(is_counted=True, time_zone=timezone.get_current_timezone_name())
    known = set(ReportDay.objects.filter(done | checked).values_list("day", flat=True))
    days, day, oldest = [], timezone.localdate(now - SETTLED), timezone.localdate(first)
    while day >= oldest:
        if day not in known and midnight(day + DAY) <= now:
            days.append(day)
        day -= DAY
    return days


def _count(day: date, now: datetime) -> bool:
    """Count the calls of this day, unless they may still change."""
    ReportDay.objects.get_or_create(day=day)
    span = [(midnight(day), midnight(day + DAY))]
    calls = CallRequest.objects.all()
    try:
        with transaction.atomic():
            rows = ReportDay.objects.filter(day=day)
            rows.update(checked_at=now)  # and lock it: see `changing`
            is_settled = _is_settled(calls.filter(counting.within(span)), now)
            rows.update(is_counted=is_settled, time_zone=timezone.get_current_timezone_name())
            if is_settled:
                stored = CallTotals.objects.filter(day=day)
                stored.delete()
                for kind, count in counting.BY.items():
                    totals = [_row(day, kind, *group) for group in count(calls, span)]
                    stored.bulk_create(totals, batch_size=500)
    except IntegrityError:  # a user was deleted meanwhile
        return False
    return is_settled


def _is_settled(calls: QuerySet[CallRequest], now: datetime) -> bool:
    """Whether no call is open, and events no longer count for any."""
    latest = calls.filter(Q(ended_at=None) | Q(ended_at__gt=now - SETTLED)).aggregate(
        sent=Max(Coalesce("sent_at", "created_at")), max_duration=Max("max_duration")
    )
    if latest["sent"] is None:
        return True
    longest = timedelta(seconds=latest["max_duration"])
    return bool(now - latest["sent"] > longest + SETTLED) and not calls.filter(IS_OPEN).exists()


def _row(day: date, kind: str, key: tuple[Any, ...], figures: Figures) -> CallTotals:
    columns = dict(zip(COLUMNS[kind], key, strict=True)) | {"day_id": day}
    return CallTotals(kind=kind, **columns, **{name: getattr(figures, name) for name in FIGURES})
