"""The calls that blacklist entries would have refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Q

from ..models import BlacklistedNumber, CallRequest
from ..models.calls import CallRequestQuerySet
from ..protocol import number_search
from .parsing import Line

DAYS = 30  # how far to look back
MOST = 1000  # calls that are counted
NEWEST = 10  # calls that are displayed
TOGETHER = 500  # numbers in one query
PREFIXES_TOGETHER = 50  # prefixes in one query: each is a condition of its own

Direction = BlacklistedNumber.Direction
LEGS = {
    Direction.FROM: ("from_number",),
    Direction.TO: ("to_number",),
    Direction.BOTH: ("from_number", "to_number"),
}
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Matches:
    """Calls that entries would have refused: `count` or `more`. `calls` are some of the newest."""

    count: int
    more: bool
    calls: tuple[CallRequest, ...]


def find_matches(
    entries: Sequence[Line | BlacklistedNumber],
    direction: str,
    among: CallRequestQuerySet,
    now: datetime,
) -> Matches:
    """The calls of the last `DAYS` days that the entries would have refused, had they been in force
    for this direction.

    Each query uses an index on a number, and reads at most `MOST` calls.
    """
    recent = among.filter(rings_at__gt=now - timedelta(days=DAYS), rings_at__lte=now)
    found: dict[int, datetime] = {}
    for condition in _conditions(entries, LEGS[Direction(direction)]):
        rows = recent.filter(condition).order_by("-rings_at").values_list("pk", "rings_at")
        found.update(rows[: MOST + 1])
        if len(found) > MOST:
            break
    newest = sorted(found, key=lambda pk: (found[pk], pk), reverse=True)[:NEWEST]
    calls = among.filter(pk__in=newest).select_related("user").order_by("-rings_at", "-pk")
    return Matches(min(len(found), MOST), len(found) > MOST, tuple(calls) if newest else ())


def _conditions(entries: Sequence[Line | BlacklistedNumber], legs: Sequence[str]) -> Iterator[Q]:
    whole = [entry.number for entry in entries if not entry.is_prefix]
    prefixes = [entry.number for entry in entries if entry.is_prefix]
    for leg in legs:
        for part in parts(whole, TOGETHER):
            yield Q(**{f"{leg}__in": part})
        for part in parts(prefixes, PREFIXES_TOGETHER):
            condition = Q()
            for prefix in part:
                first, behind = number_search.span(prefix)
                span = Q(**{f"{leg}__gte": first})
                condition |= span & Q(**{f"{leg}__lt": behind}) if behind else span
            yield condition


def parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
