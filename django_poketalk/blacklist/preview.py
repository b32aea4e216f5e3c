"""What bulk input would change in the blacklist, and making that change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..models import BlacklistedNumber
from .matching import TOGETHER, parts
from .parsing import Line


@dataclass(frozen=True, slots=True)
class Preview:
    """What lines would change: entries to add or to renew, and lines that are in force already."""

    new: tuple[Line, ...]
    renewed: tuple[tuple[Line, BlacklistedNumber], ...]
    kept: tuple[Line, ...]

    @property
    def size(self) -> int:
        """How many entries would be added or renewed."""
        return len(self.new) + len(self.renewed)


def preview(lines: Sequence[Line], direction: str, now: datetime) -> Preview:
    """What the lines would change if they were added for this direction."""
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
    return Preview(tuple(new), tuple(renewed), tuple(kept))


def add_entries(
    checked: Preview, direction: str, reason: str, until: datetime | None, user: Any, now: datetime
) -> tuple[list[BlacklistedNumber], list[BlacklistedNumber]]:
    """Add the new entries and renew the expired ones. Returns both, in this order.

    Lines without a reason get `reason`. Call it in a transaction: it raises `IntegrityError` if
    another user has just added one of the entries.
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
        for line in checked.new
    ]
    renewed = []
    for line, entry in checked.renewed:
        for field, value in {"reason": line.reason or reason, **facts}.items():
            setattr(entry, field, value)
        renewed.append(entry)
    made = BlacklistedNumber.objects.bulk_create(made, batch_size=TOGETHER)
    BlacklistedNumber.objects.bulk_update(renewed, ["reason", *facts], batch_size=TOGETHER)
    return made, renewed


def _stored(
    lines: Sequence[Line], direction: str
) -> dict[tuple[str, bool], list[BlacklistedNumber]]:
    """The entries for the same numbers and prefixes, in force or not."""
    stored: dict[tuple[str, bool], list[BlacklistedNumber]] = {}
    for part in parts([line.number for line in lines], TOGETHER):
        for entry in BlacklistedNumber.objects.filter(
            number__in=part, direction__in={direction, BlacklistedNumber.Direction.BOTH}
        ):
            stored.setdefault((entry.number, entry.is_prefix), []).append(entry)
    return stored
