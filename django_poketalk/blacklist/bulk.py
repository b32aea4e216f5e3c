"""The blacklist in bulk: many entries at once, and the calls that entries would have refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Q

from ..models import BlacklistedNumber, CallRequest
from ..models.calls import CallRequestQuerySet
from ..protocol import number_search
from .parse import Line

DAYS = 30  # that are looked back on
MOST = 1000  # calls that are counted; more are "more"
NEWEST = 10  # that are shown
TOGETHER = 500  # numbers in one query
PREFIXES_TOGETHER = 50  # each is a condition of its own

Direction = BlacklistedNumber.Direction
LEGS = {
    Direction.FROM: ("from_number",),
    Direction.TO: ("to_number",),
    Direction.BOTH: ("from_number", "to_number"),
}
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Plan:
    """What lines would change: entries to make, entries whose time has passed to be `renewed`, and
    lines that are in force already.
    """

    new: tuple[Line, ...]
    renewed: tuple[tuple[Line, BlacklistedNumber], ...]
    kept: tuple[Line, ...]

    @property
    def size(self) -> int:
        """How many entries it makes or renews."""
        return len(self.new) + len(self.renewed)


@dataclass(frozen=True, slots=True)
class Matches:
    """Calls that entries would have refused. `more`: there are more than `count`, and `calls` are
    only some of the newest.
    """

    count: int
    more: bool
    calls: tuple[CallRequest, ...]


def plan(lines: Sequence[Line], direction: str, now: datetime) -> Plan:
    """What the lines would change, if they were to hold in this direction."""
    stored = _stored(lines, direction)
    new: list[Line] = []
    renewed: list[tuple[Line, BlacklistedNumber]] = []
    kept: list[Line] = []
    for line in lines:
        same = stored.get((line.number, line.is_prefix), [])
        if any(entry.is_in_force(now) for entry in same):
            kept.append(line)
            continue
        past = next((entry for entry in same if entry.direction == direction), None)
        if past is None:
            new.append(line)
        else:
            renewed.append((line, past))
    return Plan(tuple(new), tuple(renewed), tuple(kept))


def carry_out(
    planned: Plan, direction: str, reason: str, until: datetime | None, user: Any, now: datetime
) -> tuple[list[BlacklistedNumber], list[BlacklistedNumber]]:
    """Make the plan's entries and renew the others; both are given back, in this order.

    `reason` is that of the lines without one. Wants a transaction around it. `IntegrityError` when
    somebody else has made the same entry meanwhile.
    """
    facts = {"until": until, "created_by": user, "created_at": now}
    made = [
        BlacklistedNumber(
            number=line.number,
            is_prefix=line.is_prefix,
            direction=direction,
            reason=line.reason or reason,
            **facts,
        )
        for line in planned.new
    ]
    renewed = []
    for line, entry in planned.renewed:
        for field, value in {"reason": line.reason or reason, **facts}.items():
            setattr(entry, field, value)
        renewed.append(entry)
    made = BlacklistedNumber.objects.bulk_create(made, batch_size=TOGETHER)
    BlacklistedNumber.objects.bulk_update(renewed, ["reason", *facts], batch_size=TOGETHER)
    return made, renewed


def find_matches(
    entries: Sequence[Line | BlacklistedNumber],
    direction: str,
    among: CallRequestQuerySet,
    now: datetime,
) -> Matches:
    """Those of the calls, of the last `DAYS` days, that the entries would have refused if they had
    held in this direction.

    Each query is by an index on a number and ends at `MOST` calls.
    """
    recent = among.filter(created_at__gt=now - timedelta(days=DAYS), created_at__lte=now)
    found: dict[int, datetime] = {}
    for condition in _conditions(entries, LEGS[Direction(direction)]):
        rows = recent.filter(condition).order_by("-created_at").values_list("pk", "created_at")
        found.update(rows[: MOST + 1])
        if len(found) > MOST:
            break
    newest = sorted(found, key=lambda pk: (found[pk], pk), reverse=True)[:NEWEST]
    calls = among.filter(pk__in=newest).select_related("user").order_by("-created_at", "-pk")
    return Matches(min(len(found), MOST), len(found) > MOST, tuple(calls) if newest else ())


def _conditions(entries: Sequence[Line | BlacklistedNumber], legs: Sequence[str]) -> Iterator[Q]:
    whole = [entry.number for entry in entries if not entry.is_prefix]
    prefixes = [entry.number for entry in entries if entry.is_prefix]
    for leg in legs:
        for part in _parts(whole, TOGETHER):
            yield Q(**{f"{leg}__in": part})
        for part in _parts(prefixes, PREFIXES_TOGETHER):
            condition = Q()
            for prefix in part:
                first, behind = number_search.span(prefix)
                span = Q(**{f"{leg}__gte": first})
                condition |= span & Q(**{f"{leg}__lt": behind}) if behind else span
            yield condition


def _stored(
    lines: Sequence[Line], direction: str
) -> dict[tuple[str, bool], list[BlacklistedNumber]]:
    """The entries that say what lines say, in force or not."""
    stored: dict[tuple[str, bool], list[BlacklistedNumber]] = {}
    for part in _parts([line.number for line in lines], TOGETHER):
        for entry in BlacklistedNumber.objects.filter(
            number__in=part, direction__in={direction, Direction.BOTH}
        ):
            stored.setdefault((entry.number, entry.is_prefix), []).append(entry)
    return stored


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
