"""Where the bars of a chart go. Pure geometry, in units of the picture: colors and markup are the
template's, words and how numbers are written the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 26
LABELS = 8  # at most, along the bottom
GAP = 0.25  # of a bar's room
LINES = 5  # at most, above the lowest


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a stacked bar: what it is of, what it says, and where it is."""

    key: str
    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A word at the edge: its text, and where along that edge."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from left to right, with marks below and beside them."""

    parts: list[Part]
    below: list[Mark]
    beside: list[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def stacked(
    bars: Sequence[tuple[str, Mapping[str, float]]],
    words: Mapping[str, str],
    *,
    whole: bool = False,
    write: Callable[[float], str] = str,
) -> Chart:
    """Bars of what each has of the keys of `words`, the first at the bottom. Each bar is its label
    and its values, none of them negative; `whole` for things that are counted. `write` makes text
    of a value.
    """
    highest = max((sum(values.values()) for _label, values in bars), default=0)
    step = round_step(highest, whole=whole)
    lines = max(1, ceil(highest / step - 1e-9))
    room = (WIDTH - LEFT - RIGHT) / max(1, len(bars))
    per_unit = (HEIGHT - TOP - BOTTOM) / (lines * step)
    parts = []
    for place, (label, values) in enumerate(bars):
        x, y = LEFT + room * (place + GAP / 2), float(HEIGHT - BOTTOM)
        for key, word in words.items():
            if value := values.get(key, 0):
                height = value * per_unit
                y -= height
                sizes = (round(size, 2) for size in (x, y, room * (1 - GAP), height))
                parts.append(Part(key, f"{label}: {word} {write(value)}", *sizes))
    every = ceil(len(bars) / LABELS) or 1
    below = [
        Mark(label, round(LEFT + room * (place + 0.5), 2))
        for place, (label, _values) in enumerate(bars)
        if place % every == 0
    ]
    beside = [
        Mark(write(line * step), round(HEIGHT - BOTTOM - line * step * per_unit, 2))
        for line in range(lines + 1)
    ]
    return Chart(parts, below, beside)


def round_step(highest: float, *, whole: bool = False) -> float:
    """A round number that is in `highest` at most `LINES` times, rounded up: 1, 2, 2.5, 5, 10 …
    `whole`: without decimals.
    """
    if highest <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(highest / LINES))
    for times in (1, 2, 2.5, 5, 10, 20, 25):
        step = round(unit * times, 12)
        if step * LINES >= highest * (1 - 1e-9) and not (whole and step % 1):
            return step
    return 1.0  # whole, and of less than one
