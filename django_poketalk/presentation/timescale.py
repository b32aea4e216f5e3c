"""Time as a length: the axis of a call's picture.

Each stage is at least wide enough to be read, and the longer it took the wider; inside a stage time
runs evenly. So a ring of five seconds can be seen beside three hours of talk. Pure, as `timeline`.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MIN_STAGE = 62.0  # a time of day fits on the axis
LABEL = 92.0
APART = timedelta(seconds=0.5)  # moments closer than this are one on the axis
STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)  # seconds


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on the axis; `is_stage` where a stage begins or ends."""

    at: datetime
    x: float
    is_stage: bool


class Scale:
    """Time to x from `left` to `right`, never backwards; the stages are its fixed points."""

    def __init__(
        self, first: datetime, last: datetime, stages: Iterable[datetime], left: float, right: float
    ) -> None:
        self.first = first
        self.last = last if last - first >= APART else first + timedelta(seconds=1)
        knots = [self.first]
        for moment in sorted(stages):
            if moment - knots[-1] >= APART and self.last - moment >= APART:
                knots.append(moment)
        knots.append(self.last)
        self._knots = knots
        self._xs = _spread(knots, left, right)

    def x(self, at: datetime) -> float:
        """Where this moment is; one before the first or after the last at that one."""
        at = min(max(at, self.first), self.last)
        index = min(bisect_right(self._knots, at), len(self._knots) - 1)
        begin, end = self._knots[index - 1], self._knots[index]
        share = (at - begin) / (end - begin)
        left, right = self._xs[index - 1], self._xs[index]
        return round(left + share * (right - left), 1)

    def moments(self) -> Iterator[Moment]:
        """What the axis shows, from left to right."""
        for index, (at, x) in enumerate(zip(self._knots, self._xs, strict=True)):
            yield Moment(at, round(x, 1), True)
            if index + 1 < len(self._knots):
                yield from self._between(at, self._knots[index + 1], self._xs[index + 1] - x)

    def _between(self, begin: datetime, end: datetime, width: float) -> Iterator[Moment]:
        """Regular times within a stage that is wide enough for them."""
        seconds = (end - begin).total_seconds()
        step = next((step for step in STEPS if width * step / seconds >= LABEL), None)
        if step is None:
            return
        at = begin + timedelta(seconds=step)
        while (end - at).total_seconds() * width / seconds >= LABEL * 0.75:
            yield Moment(at, self.x(at), False)
            at += timedelta(seconds=step)


def _spread(knots: Sequence[datetime], left: float, right: float) -> list[float]:
    """Where the knots stand: each stretch has its least width, and of the rest the more the longer
    it is, by the logarithm of its seconds.
    """
    weights = [
        math.log1p((end - begin).total_seconds()) for begin, end in itertools.pairwise(knots)
    ]
    least = min(MIN_STAGE, (right - left) / len(weights))
    rest = right - left - least * len(weights)
    widths = [least + rest * weight / sum(weights) for weight in weights]
    return [*(left + sum(widths[:count]) for count in range(len(widths))), right]
