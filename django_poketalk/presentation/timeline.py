"""The timeline of a call: the positions of its stages, events, missing ticks and cost.

Pure: no clock, no database, no texts. Times are aware datetimes, money is decimal. Lengths are in
units of the SVG's viewBox, with x from left to right and y downwards.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..protocol.codes import HTTP_HANG_UP
from .event_kinds import Kind, ReceivedEvent, classify, missing_ticks
from .timescale import Moment, Scale

WIDTH = 960.0
LEFT = 104.0  # the end of the lanes' names
RIGHT = 924.0
TAIL = 26.0  # the space after the end of a call
AXIS = 16.0
LANES = 34.0
LANE = 28.0
BETWEEN = 10.0
ROW = 20.0
MOST_ROWS = 6
TICK_WIDTH = 1.2
COST = 56.0
MARGIN = 14.0
MIN_SPAN = 2.0


class Stage(enum.StrEnum):
    """The stages in a lane."""

    WAITING = "waiting"
    SENDING = "sending"
    RINGING = "ringing"
    ANSWERED = "answered"  # A waits for B
    TALKING = "talking"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Facts:
    """The known times of a call. `over_at` is None while it is open."""

    created_at: datetime
    sent_at: datetime | None = None
    placed_at: datetime | None = None
    a_initiated_at: datetime | None = None
    a_answered_at: datetime | None = None
    b_initiated_at: datetime | None = None
    b_answered_at: datetime | None = None
    over_at: datetime | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    stage: Stage
    x: float
    width: float
    begin: datetime
    end: datetime
    is_open: bool = False

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)

    @property
    def seconds(self) -> int:
        return round((self.end - self.begin).total_seconds())


@dataclass(frozen=True, slots=True)
class Lane:
    """`name` is "request", "a" or "b"."""

    name: str
    y: float
    spans: tuple[Span, ...]
    height: float = LANE

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """An event and its position."""

    event: ReceivedEvent
    kind: Kind
    x: float
    y: float

    @property
    def is_refused(self) -> bool:
        return self.event.answer == HTTP_HANG_UP


@dataclass(frozen=True, slots=True)
class Gap:
    """A time during which `missing` ticks are missing."""

    x: float
    width: float
    begin: datetime
    end: datetime
    missing: int


@dataclass(frozen=True, slots=True)
class Picture:
    """All elements of the timeline with their positions. `cost_steps` are the points of the cost's
    line from the beginning to the end. It is empty without a cost.
    """

    height: float
    moments: tuple[Moment, ...]
    lanes: tuple[Lane, ...]
    events_y: float
    events_height: float
    marks: tuple[Mark, ...]
    gaps: tuple[Gap, ...]
    cost_y: float
    cost_steps: tuple[tuple[float, float], ...]
    total: Decimal
    now_x: float | None
    width: float = WIDTH
    left: float = LEFT
    right: float = RIGHT
    axis_y: float = AXIS
    axis_line_y: float = AXIS + 6

    @property
    def bottom(self) -> float:
        return self.height - 4

    @property
    def cost_bottom(self) -> float:
        return self.cost_y + COST


def draw(
    facts: Facts,
    events: Sequence[ReceivedEvent],
    now: datetime,
    previous: ReceivedEvent | None = None,
) -> Picture:
    """The timeline of a call with these events, in the order in which they were received.

    If older events are left out, `previous` is the last of them.
    """
    over_at = None if facts.is_open else facts.over_at or _last_moment(facts)
    stages = [moment for moment in (*_moments(facts), over_at) if moment is not None]
    received = [event.at for event in events]
    last = max([*stages, *received, *([now] if over_at is None else [])])
    right = RIGHT if over_at is None or last > over_at else RIGHT - TAIL
    scale = Scale(min([*stages, *received]), last, stages, LEFT, right)
    lanes = tuple(_lanes(facts, scale, over_at, now))
    events_y = LANES + len(lanes) * (LANE + BETWEEN) + ROW / 2
    marks, rows = _marks(events, scale, events_y, previous)
    events_height = max(1, rows) * ROW
    cost_y = events_y + events_height + BETWEEN / 2
    total = max((event.cost or Decimal(0) for event in events), default=Decimal(0))
    return Picture(
        height=cost_y + COST + MARGIN,
        moments=tuple(scale.moments()),
        lanes=lanes,
        events_y=events_y - ROW / 2,
        events_height=events_height,
        marks=marks,
        gaps=tuple(_gaps(facts, events, scale, over_at or scale.last, previous)),
        cost_y=cost_y,
        cost_steps=tuple(_steps(events, scale, cost_y, total, previous)) if total else (),
        total=total,
        now_x=scale.x(now) if facts.is_open else None,
    )


def _moments(facts: Facts) -> tuple[datetime | None, ...]:
    return (
        facts.created_at,
        facts.sent_at,
        facts.placed_at,
        facts.a_initiated_at,
        facts.a_answered_at,
        facts.b_initiated_at,
        facts.b_answered_at,
        facts.over_at,
    )


def _last_moment(facts: Facts) -> datetime:
    return max(moment for moment in _moments(facts) if moment is not None)


def _lanes(facts: Facts, scale: Scale, over_at: datetime | None, now: datetime) -> Iterable[Lane]:
    rung = min(filter(None, (facts.a_initiated_at, facts.a_answered_at)), default=None)
    end = max(scale.first, over_at or now)
    answered = facts.placed_at or rung or end
    request = [(Stage.WAITING, facts.created_at), (Stage.SENDING, facts.sent_at)]
    leg_a = [
        (Stage.RINGING, facts.a_initiated_at),
        (Stage.ANSWERED, facts.a_answered_at),
        (Stage.TALKING, facts.b_answered_at),
    ]
    leg_b = [(Stage.RINGING, facts.b_initiated_at), (Stage.TALKING, facts.b_answered_at)]
    is_requested = facts.placed_at is not None or rung is not None or over_at is not None
    for index, (name, stages, until, is_open) in enumerate(
        (
            ("request", request, min(answered, end), not is_requested),
            ("a", leg_a, end, over_at is None),
            ("b", leg_b, end, over_at is None),
        )
    ):
        spans = list(_spans(stages, until, scale, is_open))
        if spans and name != "request" and over_at is not None:
            x = spans[-1].x + spans[-1].width
            width = max(MIN_SPAN, RIGHT - x)
            spans.append(Span(Stage.ENDED, x, round(width, 1), over_at, scale.last))
        yield Lane(name, LANES + index * (LANE + BETWEEN), tuple(spans))


def _spans(
    stages: Sequence[tuple[Stage, datetime | None]], end: datetime, scale: Scale, is_open: bool
) -> Iterable[Span]:
    """Each stage, from its beginning to that of the next one. Stages that were reported too late
    are left out.
    """
    known = [(stage, begin) for stage, begin in stages if begin is not None]
    ends = [end]
    for _stage, begin in reversed(known):
        ends.insert(0, min(begin, ends[0]))
    for index, (stage, _begin) in enumerate(known):
        begin, until = ends[index], ends[index + 1]
        is_last = index + 1 == len(known)
        if begin == until and not is_last:
            continue
        x = min(scale.x(begin), RIGHT - MIN_SPAN)
        width = max(MIN_SPAN, scale.x(until) - x)
        yield Span(stage, x, round(width, 1), begin, until, is_open and is_last)


def _marks(
    events: Sequence[ReceivedEvent], scale: Scale, y: float, previous: ReceivedEvent | None
) -> tuple[tuple[Mark, ...], int]:
    """The events, each in the first row with enough space, and the number of rows."""
    free = [0.0] * MOST_ROWS
    marks: list[Mark] = []
    used = 0
    for event, kind in zip(events, classify(events, previous), strict=True):
        x = scale.x(event.at)
        half = TICK_WIDTH / 2 if kind is Kind.TICK and event.answer != HTTP_HANG_UP else 9.0
        row = next((row for row in range(MOST_ROWS) if free[row] <= x - half), MOST_ROWS - 1)
        free[row] = max(free[row], x + half)
        used = max(used, row + 1)
        marks.append(Mark(event, kind, x, y + row * ROW))
    return tuple(marks), used


def _gaps(
    facts: Facts,
    events: Sequence[ReceivedEvent],
    scale: Scale,
    end: datetime,
    previous: ReceivedEvent | None,
) -> Iterable[Gap]:
    """The times with missing ticks, between leg A's answer and the end."""
    answers = (facts.a_answered_at, facts.b_initiated_at, facts.b_answered_at)
    answered = min(filter(None, answers), default=None)
    if answered is None:
        return
    begin = answered if previous is None else max(answered, previous.at)
    received = sorted(event.at for event in events if begin < event.at < end)
    for last, following in itertools.pairwise([begin, *received, end]):
        missing = missing_ticks(last - answered, following - answered)
        if missing:
            x = scale.x(last)
            width = max(MIN_SPAN, scale.x(following) - x)
            yield Gap(min(x, RIGHT - MIN_SPAN), round(width, 1), last, following, missing)


def _steps(
    events: Sequence[ReceivedEvent],
    scale: Scale,
    y: float,
    total: Decimal,
    previous: ReceivedEvent | None,
) -> Iterable[tuple[float, float]]:
    """The points of the line of the cost so far, which only rises."""
    bottom = y + COST
    so_far = (previous.cost if previous else None) or Decimal(0)
    reached = max(so_far, total)
    height = round(bottom - float(so_far / reached) * COST, 1)
    yield LEFT, height
    x = LEFT
    for event in sorted(events, key=lambda event: event.at):
        if (event.cost or Decimal(0)) > so_far:
            so_far = event.cost or so_far
            x = scale.x(event.at)
            yield x, height
            height = round(bottom - float(so_far / reached) * COST, 1)
            yield x, height
    last = scale.x(scale.last)
    if last > x:
        yield last, height
