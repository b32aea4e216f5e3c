"""The geometry of charts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.reports import charts

WORDS = {"a": "Anna", "b": "Bob", "c": "Carl"}
VALUES = st.dictionaries(st.sampled_from([*WORDS]), st.integers(0, 10**7))


@given(st.lists(VALUES, max_size=70), st.booleans())
def test_every_value_has_a_part_inside_the_chart(bars: list[dict[str, int]], whole: bool) -> None:
    chart = charts.stacked([(str(n), values) for n, values in enumerate(bars)], WORDS, whole=whole)

    assert len(chart.parts) == sum(bool(value) for values in bars for value in values.values())
    for part in chart.parts:
        assert charts.LEFT <= part.x <= part.x + part.width <= charts.WIDTH - charts.RIGHT + 0.02
        assert part.y >= charts.TOP - 0.02
        assert part.y + part.height <= charts.HEIGHT - charts.BOTTOM + 0.02
    assert len(chart.below) <= charts.LABELS


def test_parts_are_stacked_in_order() -> None:
    chart = charts.stacked([("today", {"b": 1, "a": 3})], WORDS, whole=True)

    lower, upper = chart.parts
    assert (lower.key, upper.key) == ("a", "b")
    assert (lower.title, upper.title) == ("today: Anna 3", "today: Bob 1")
    assert upper.y + upper.height == pytest.approx(lower.y, abs=0.02)
    assert lower.height == pytest.approx(3 * upper.height, abs=0.05)


@given(st.floats(1e-6, 1e12), st.booleans())
def test_lines_have_round_values_and_are_few(highest: float, whole: bool) -> None:
    step = charts.round_step(highest, whole=whole)

    assert highest <= charts.LINES * step * 1.000001
    assert charts.LINES * step <= max(highest * 2.501, charts.LINES if whole else 0)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 2.5, 5)) < 1e-6
    assert not whole or step == int(step)


@pytest.mark.parametrize(
    ("highest", "marks"),
    [
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (7, ["0", "2", "4", "6", "8"]),
        (4058, ["0", "1000", "2000", "3000", "4000", "5000"]),
    ],
)
def test_the_highest_bar_nearly_fills_the_chart(highest: int, marks: list[str]) -> None:
    chart = charts.stacked([("", {"a": highest})], WORDS, whole=True, write="{:g}".format)

    assert [mark.text for mark in chart.beside] == marks
