"""The charts of a report: the calls, and the figure by which the table is sorted, or the spend."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ..reports import charts, traffic
from ..reports.figures import Figures
from ..reports.outcomes import Outcome
from ..reports.traffic import Period, Report, Row
from .report_columns import COLUMNS, Column
from .report_dimensions import Dimension
from .report_table import top

BARS = 62  # days that are still seen one by one; more are put together by the week
MOST_GROUPS = 7  # with a bar of their own
MOST_LETTERS = 12  # below a bar

Bars = Sequence[tuple[str, Figures]]


def second_column(figure: str) -> Column:
    """The column of the second chart."""
    return COLUMNS["spend" if figure == "calls" else figure]


def by_time(found: traffic.OutcomesByDay, period: Period, column: Column) -> dict[str, Any]:
    """A bar for each day, or for each week of a long period."""
    counts, bars = [], []
    for label, days in _spans(period):
        parts = traffic.outcomes_of({day: found[day] for day in days})
        counts.append((label, {row.key: row.figures.calls for row in parts.rows}))
        bars.append((label, parts.total))
    seen = {key for _label, values in counts for key in values}
    words: dict[str, str] = {outcome: str(outcome.label) for outcome in Outcome if outcome in seen}
    if len(period) <= BARS:
        captions = (_("Calls per day, by outcome"), _("%(figure)s per day"))
    else:
        captions = (_("Calls per week, by outcome"), _("%(figure)s per week"))
    return {
        "calls_caption": captions[0],
        "calls_chart": charts.stacked(counts, words, whole=True, write=_amount),
        "figure_caption": captions[1] % {"figure": column.caption},
        "figure_chart": _of(column, bars),
        "legend": [*words.items()],
    }


def by_group(
    dimension: Dimension, report: Report, column: Column, pins: set[Any]
) -> dict[str, Any]:
    """A bar for each of the rows with the highest figures, in each chart its own, and one for all
    others. Rows with the keys `pins` always have a bar.
    """
    group = {"group": dimension.title}
    words = {"connected": _("Answered"), "unanswered": _("Not answered")}
    counts = [
        (label, {"connected": each.answered, "unanswered": each.calls - each.answered})
        for label, each in _bars(dimension, report.rows, COLUMNS["calls"], pins)
    ]
    caption = _("%(figure)s by %(group)s")
    return {
        "calls_caption": caption % {"figure": COLUMNS["calls"].title, **group},
        "calls_chart": charts.stacked(counts, words, whole=True, write=_amount),
        "figure_caption": caption % {"figure": column.caption, **group},
        "figure_chart": _of(column, _bars(dimension, report.rows, column, pins)),
        "legend": [*words.items()],
    }


def _bars(dimension: Dimension, rows: list[Row], column: Column, pins: set[Any]) -> Bars:
    kept = top(rows, column, MOST_GROUPS, pins)
    bars = [(Truncator(str(dimension.label(row))).chars(MOST_LETTERS), row.figures) for row in kept]
    if others := [row for row in rows if row not in kept]:
        bars.append((_("others"), sum((row.figures for row in others), Figures())))
    return bars


def _of(column: Column, bars: Bars) -> charts.Chart:
    values = [(label, {"figure": float(column.of(figures) or 0)}) for label, figures in bars]
    return charts.stacked(values, {"figure": str(column.title)}, write=_amount)


def _spans(period: Period) -> list[tuple[str, list[date]]]:
    """The days, or the weeks of a long period, each with its label."""
    step = 1 if len(period) <= BARS else 7
    days = period.days
    chunks = [days[start : start + step] for start in range(0, len(days), step)]
    return [(date_format(chunk[0], "SHORT_DATE_FORMAT"), chunk) for chunk in chunks]


def _amount(value: float) -> str:
    """With as many decimals as it has, up to those of money."""
    exact = Decimal(str(round(value, 6))).normalize()
    return number_format(f"{exact:f}", force_grouping=True)
