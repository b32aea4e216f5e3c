"""Values that are far from the others. Pure.

The rule is Tukey's: a value is an outlier if it is more than 1.5 times the distance between the
quartiles below the first quartile or above the third. It does not assume a distribution, and a few
outliers do not hide each other, because they do not move the quartiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

FEWEST = 8  # values; of fewer, the quartiles say little
REACH = 1.5


def fences(values: Sequence[float]) -> tuple[float, float] | None:
    """The lowest and the highest value that is no outlier, or None if there are too few values."""
    if len(values) < FEWEST:
        return None
    first, _median, third = quantiles(values, n=4, method="inclusive")
    distance = REACH * (third - first)
    return first - distance, third + distance


def side(value: float, limits: tuple[float, float] | None) -> int:
    """-1 below the limits of `fences`, 1 above them, else 0."""
    if limits is None:
        return 0
    return (value > limits[1]) - (value < limits[0])
