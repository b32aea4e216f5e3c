"""The table of a report: its rows in the chosen order, their changes and outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from ..reports import outliers
from ..reports.figures import Figures
from ..reports.traffic import Report, Row
from .report_columns import COLUMNS, Column, counts
from .report_dimensions import Dimension

UNUSUAL = {-1: ("low", _("unusually low")), 0: ("", ""), 1: ("high", _("unusually high"))}
CHANGE = "-change"
NOTHING = Figures()
Fences = dict[str, tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the rows: by their name (`key`), by a figure or by its change; or, without a
    `name`, that of the report itself.
    """

    name: str = ""
    is_change: bool = False
    is_descending: bool = False

    @classmethod
    def read(cls, text: str) -> Order:
        """From the URL: `key`, `spend`, or `spend-change`, with `-` in front for the highest first.
        Anything else is no order.
        """
        name = text.removeprefix("-")
        figure = name.removesuffix(CHANGE)
        if figure not in COLUMNS and name != "key":
            return cls()
        return cls(figure, name != figure, text.startswith("-"))

    @property
    def figure(self) -> str:
        """The figure that the table compares with the period before."""
        return self.name if self.name in COLUMNS else "calls"

    def link(self, name: str) -> str:
        """What to put into the URL to sort by this: the highest figure first, the first name
        first, and the other way round the second time.
        """
        if self.name and name == self.name + CHANGE * self.is_change:
            return name if self.is_descending else f"-{name}"
        return name if name == "key" else f"-{name}"

    def aria(self, name: str) -> str:
        """The value of `aria-sort` of the column with this name, or ""."""
        if not self.name or name != self.name + CHANGE * self.is_change:
            return ""
        return "descending" if self.is_descending else "ascending"


def sort(dimension: Dimension, report: Report, order: Order, before: Report | None) -> Report:
    """The report with its rows in this order. Those without the figure are last."""
    rows = report.rows
    if not order.name:
        return report
    if order.name == "key":
        if not dimension.is_over_time:  # days and outcomes have an order of their own
            rows = sorted(rows, key=lambda row: str(dimension.label(row)).casefold())
        return Report(rows[::-1] if order.is_descending else rows, report.total)
    column = COLUMNS[order.name]
    figures_before = by_key(before)

    def value(row: Row) -> float | None:
        now = column.of(row.figures)
        if not order.is_change or now is None:
            return None if now is None else float(now)
        old = column.of(figures_before.get(row.key, NOTHING))
        return None if old is None else float(now) - float(old)

    values = [(value(row), row) for row in rows]
    known = [(each, row) for each, row in values if each is not None]
    known.sort(key=lambda pair: pair[0], reverse=order.is_descending)
    rows = [row for _value, row in known] + [row for each, row in values if each is None]
    return Report(rows, report.total)


def top(rows: Sequence[Row], column: Column, most: int, pins: set[Any]) -> list[Row]:
    """The rows with the highest figures, at most `most`, and those with these keys in any case."""
    ranked = sorted(rows, key=lambda row: -float(column.of(row.figures) or 0))
    kept = [row for row in ranked if row.key in pins][:most]
    kept += [row for row in ranked if row.key not in pins][: most - len(kept)]
    return [row for row in ranked if row in kept]


def fences(rows: Sequence[Row]) -> Fences:
    """The lowest and the highest figure of each column that are not unusual."""
    found = {}
    for name, column in COLUMNS.items():
        values = [column.of(row.figures) for row in rows if counts(column, row.figures)]
        found[name] = outliers.fences([float(value) for value in values if value is not None])
    return found


def cells(
    figures: Figures, usual: Fences, compared: str = "", before: Figures = NOTHING
) -> list[dict[str, Any]]:
    """The figures for display, each with whether it is unusual. Behind the `compared` one, by how
    much it has changed.
    """
    found = []
    for name, column in COLUMNS.items():
        unusual = UNUSUAL[_side(column, figures, usual.get(name))]
        found.append({"text": column.text(figures), "unusual": unusual})
        if name == compared:
            found.append({"text": column.change(figures, before), "unusual": UNUSUAL[0]})
    return found


def by_key(report: Report | None) -> dict[Any, Figures]:
    """The figures of each row."""
    return {row.key: row.figures for row in report.rows} if report else {}


def pinned(report: Report, row: Row) -> Report:
    """The report with this row, unless it already has one with the same key."""
    if any(each.key == row.key for each in report.rows):
        return report
    return Report([row, *report.rows], report.total)


def _side(column: Column, figures: Figures, usual: tuple[float, float] | None) -> int:
    value = column.of(figures)
    if value is None or not counts(column, figures):
        return 0
    return outliers.side(float(value), usual)
