"""The time axis of a call's timeline.

Each stage has a legible minimum width, and longer stages are wider. The scale is linear within a
stage. Thus five seconds of ringing are visible beside a call of three hours. Pure, like `timeline`.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MIN_STAGE = 62.0  # the width of a time of day on the axis
LABEL = 92.0
APART = timedelta(seconds=0.5)  # moments closer than this are merged on the axis
STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)  # seconds


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on the axis. `is_stage`: a stage begins or ends there."""

    at: datetime
    x: float
    is_stage: bool


class Scale:
    """Maps times to x between `left` and `right`. The map is monotonic, and linear between the
    beginnings of `stages`.
    """

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
        """The position of this time. Times outside the axis are moved to its ends."""
        at = min(max(at, self.first), self.last)
        index = min(bisect_right(self._knots, at), len(self._knots) - 1)
        begin, end = self._knots[index - 1], self._knots[index]
        share = (at - begin) / (end - begin)
        left, right = self._xs[index - 1], self._xs[index]
        return round(left + share * (right - left), 1)

    def moments(self) -> Iterator[Moment]:
        """The labels of the axis, from left to right."""
        for index, (at, x) in enumerate(zip(self._knots, self._xs, strict=True)):
            yield Moment(at, round(x, 1), True)
            if index + 1 < len(self._knots):
                yield from self._between(at, self._knots[index + 1], self._xs[index + 1] - x)

    def _between(self, begin: datetime, end: datetime, width: float) -> Iterator[Moment]:
        """Times at regular steps within a stage, if it is wide enough."""
        seconds = (end - begin).total_seconds()
        step = next((step for step in STEPS if width * step / seconds >= LABEL), None)
        if step is None:
            return
        at = begin + timedelta(seconds=step)
        while (end - at).total_seconds() * width / seconds >= LABEL * 0.75:
            yield Moment(at, self.x(at), False)
            at += timedelta(seconds=step)


def _spread(knots: Sequence[datetime], left: float, right: float) -> list[float]:
    """The positions of the knots. Each interval has a minimum width, and shares the remaining width
    in proportion to the logarithm of its seconds.
    """
    weights = [
        math.log1p((end - begin).total_seconds()) for begin, end in itertools.pairwise(knots)
    ]
    least = min(MIN_STAGE, (right - left) / len(weights))
    rest = right - left - least * len(weights)
    widths = [least + rest * weight / sum(weights) for weight in weights]
    return [*(left + sum(widths[:count]) for count in range(len(widths))), right]
