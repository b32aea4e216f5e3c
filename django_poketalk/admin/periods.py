"""Periods in the list of calls: whole days in the current time zone, as parameters of the URL, and
the hierarchy of years, months and days.

Django's `date_hierarchy` reads all calls to find the days with calls. This hierarchy only queries
the first and the last call, and offers all periods between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from django.utils.formats import date_format
from django.utils.text import capfirst

from ..shared import periods
from ..shared.periods import DAY

REST = {4: "-01-01", 7: "-01"}  # completes `2026` and `2026-03` to their first day


class Period(periods.Period):
    """A period in the list of calls."""

    @classmethod
    def year(cls, day: date) -> Period:
        """The year of this day."""
        return cls(day.replace(month=1, day=1), day.replace(month=12, day=31))

    @classmethod
    def month(cls, day: date) -> Period:
        """The month of this day."""
        first = day.replace(day=1)
        return cls(first, (first + 31 * DAY).replace(day=1) - DAY)

    @classmethod
    def day(cls, day: date) -> Period:
        """Only this day."""
        return cls(day, day)

    @property
    def is_day(self) -> bool:
        return self.first == self.last

    @property
    def is_month(self) -> bool:
        return self == Period.month(self.first)

    @property
    def is_year(self) -> bool:
        return self == Period.year(self.first)

    @property
    def address(self) -> str:
        """The shortest text that `read` accepts for this period."""
        first, last = self.first.isoformat(), self.last.isoformat()
        if self.is_day:
            return first
        if self.is_month:
            return first[:7]
        return first[:4] if self.is_year else f"{first}..{last}"

    @property
    def title(self) -> str:
        """The period for display."""
        if self.is_day:
            return capfirst(date_format(self.first, "MONTH_DAY_FORMAT"))
        if self.is_month:
            return capfirst(date_format(self.first, "YEAR_MONTH_FORMAT"))
        if self.is_year:
            return str(self.first.year)
        return " – ".join(date_format(day, "SHORT_DATE_FORMAT") for day in (self.first, self.last))


def read(text: str, today: date) -> Period | None:
    """The period for `today`, `yesterday`, `2026`, `2026-03`, `2026-03-31`, or two of these with
    `..` between them. None if it is invalid, or in the first or last year of Python's calendar.
    """
    first, dots, last = text.partition("..")
    begin, end = _read_one(first, today), _read_one(last if dots else first, today)
    return Period(begin.first, end.last) if begin and end else None


def below(chosen: Period | None, first: date, last: date) -> list[Period]:
    """The next level below the selected period, limited to the days between the first and the last
    call: the days of a month, the months of a year, or else the years. If all calls are in one year
    or month, its months or days.
    """
    if chosen is None or not (chosen.is_month or chosen.is_year):
        chosen = Period.month(first)
        if last > chosen.last:
            chosen = Period.year(first)
        if last > chosen.last:
            return [Period.year(date(year, 1, 1)) for year in range(first.year, last.year + 1)]
    part = Period.day if chosen.is_month else Period.month
    return [*_parts(part(max(first, chosen.first)), min(last, chosen.last))]


def above(chosen: Period) -> Period | None:
    """The level above: the month of a day, the year of a month. None: all dates."""
    if chosen.is_day:
        return Period.month(chosen.first)
    return Period.year(chosen.first) if chosen.is_month else None


def _parts(period: Period, last: date) -> Iterator[Period]:
    """This period and the following ones of the same length, up to the one with the last day."""
    part = Period.day if period.is_day else Period.month
    while period.first <= last:
        yield period
        period = part(period.last + DAY)


def _read_one(text: str, today: date) -> Period | None:
    if text in ("today", "yesterday"):
        return Period.day(today if text == "today" else today - DAY)
    try:
        day = date.fromisoformat(text + REST.get(len(text), ""))
    except ValueError:
        return None
    if not date.min.year < day.year < date.max.year:
        return None
    return {4: Period.year, 7: Period.month}.get(len(text), Period.day)(day)
