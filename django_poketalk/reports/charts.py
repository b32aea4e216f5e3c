"""The geometry of bar charts, in units of the SVG's viewBox. Pure. The template sets colors and
markup, and the caller passes the texts and formats the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 26
LABELS = 8  # the most labels below the chart
GAP = 0.25  # the share of a bar's width that is left empty
LINES = 5  # the most lines above the baseline


@dataclass(frozen=True, slots=True)
class Part:
    """A segment of a stacked bar: its key, tooltip, position and size."""

    key: str
    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A label of an axis: its text, and its position along the axis."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The segments of all bars, with the labels below and beside them."""

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
    """A chart of stacked bars. Each bar is a label and its values by key, none of them negative.
    `words` has the text for each key, in the order from the bottom to the top. `whole`: the axis
    has no fractions. `write` formats a value.
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
    """The distance between lines: a round number (1, 2, 2.5, 5, 10 …), so that at most `LINES` of
    them reach `highest`. `whole`: without decimals.
    """
    if highest <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(highest / LINES))
    for times in (1, 2, 2.5, 5, 10, 20, 25):
        step = round(unit * times, 12)
        if step * LINES >= highest * (1 - 1e-9) and not (whole and step % 1):
            return step
    return 1.0  # whole, and `highest` is too small for the other steps
