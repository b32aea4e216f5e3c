"""What a service told of a call, judged: what is new, a tick, repeated or late, what is missing.

Pure, as `timeline`, which draws it.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ..protocol.codes import CallStatus

TICK = timedelta(
    seconds=60
)  # between two events at most, from leg A's answer on (protocol, Events)
GRACE = timedelta(seconds=30)  # that a tick may be late before it is missed


class Kind(enum.StrEnum):
    """What an event is to those that came before it."""

    CHANGE = "change"
    TICK = "tick"
    REPEATED = "repeated"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it was told, and what we answered."""

    at: datetime
    status: CallStatus
    duration: int | None = None
    cost: Decimal | None = None
    answer: int = 200
    reason: str = ""
    pk: int = 0


def classify(events: Iterable[ReceivedEvent], previous: ReceivedEvent | None = None) -> list[Kind]:
    """What each event is to those before it, in the order in which they came."""
    seen: set[tuple[CallStatus, int | None, Decimal | None]] = set()
    highest: CallStatus | None = None
    longest = -1
    kinds: list[Kind] = []
    earlier = [previous] if previous else []
    for event in itertools.chain(earlier, events):
        told = (event.status, event.duration, event.cost)
        moves = highest is None or event.status.rank > highest.rank
        if moves:
            kind = Kind.CHANGE
        elif told in seen and (event.duration is not None or event.status.is_final):
            kind = Kind.REPEATED
        elif event.status != highest or (event.duration or 0) < longest:
            kind = Kind.LATE
        else:
            kind = Kind.REPEATED if event.status.is_final else Kind.TICK
        seen.add(told)
        highest = event.status.merge(highest)
        longest = max(longest, event.duration or 0)
        kinds.append(kind)
    return kinds[len(earlier) :]


def missing_ticks(last: timedelta, following: timedelta) -> int:
    """How many ticks are missing between two words of the service, counted from leg A's answer.

    Not only what is due by the protocol: a service that keeps another beat, or whose answer of leg
    A came late, is not blamed as long as it says something every minute.
    """
    if following - last <= TICK + GRACE:
        return 0
    first_due = (last + GRACE / 2) // TICK + 1
    last_due = (following - GRACE) // TICK
    return max(1, last_due - first_due + 1)
