"""Classifies the events of a call as new, ticks, repeated or late, and counts missing ticks.

Pure, like `timeline`, which draws them.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ..protocol.codes import CallStatus

# The longest time between two events after leg A has answered (protocol, Events).
TICK = timedelta(seconds=60)
GRACE = timedelta(seconds=30)  # how late a tick may be before it counts as missing


class Kind(enum.StrEnum):
    """How an event relates to the earlier ones."""

    CHANGE = "change"
    TICK = "tick"
    REPEATED = "repeated"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it was received, and our answer."""

    at: datetime
    status: CallStatus
    duration: int | None = None
    cost: Decimal | None = None
    answer: int = 200
    reason: str = ""
    pk: int = 0


def classify(events: Iterable[ReceivedEvent], previous: ReceivedEvent | None = None) -> list[Kind]:
    """The kind of each event. `events` are in the order in which they were received, after
    `previous`.
    """
    seen: set[tuple[CallStatus, int | None, Decimal | None]] = set()
    highest: CallStatus | None = None
    longest = -1
    kinds: list[Kind] = []
    earlier = [previous] if previous else []
    for event in itertools.chain(earlier, events):
        report = (event.status, event.duration, event.cost)
        moves = highest is None or event.status.rank > highest.rank
        if moves:
            kind = Kind.CHANGE
        elif report in seen and (event.duration is not None or event.status.is_final):
            kind = Kind.REPEATED
        elif event.status != highest or (event.duration or 0) < longest:
            kind = Kind.LATE
        else:
            kind = Kind.REPEATED if event.status.is_final else Kind.TICK
        seen.add(report)
        highest = event.status.merge(highest)
        longest = max(longest, event.duration or 0)
        kinds.append(kind)
    return kinds[len(earlier) :]


def missing_ticks(last: timedelta, following: timedelta) -> int:
    """How many ticks are missing between two consecutive events, whose times count from leg A's
    answer.

    No tick is missing as long as the service sends some event every minute, even if its ticks are
    not at full minutes since leg A's answer, or it reported that answer late.
    """
    if following - last <= TICK + GRACE:
        return 0
    first_due = (last + GRACE / 2) // TICK + 1
    last_due = (following - GRACE) // TICK
    return max(1, last_due - first_due + 1)
