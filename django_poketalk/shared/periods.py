"""Periods of whole days in the current time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import pgettext

DAY = timedelta(days=1)
YEARS = range(2000, 3000)  # others overflow in some clocks and databases


def midnight(day: date) -> datetime:
    """The first moment of the day in the current time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


@dataclass(frozen=True, slots=True)
class Period:
    """A period from its first to its last day, inclusive."""

    first: date
    last: date

    @property
    def begins(self) -> datetime:
        """The first moment of the period."""
        return midnight(self.first)

    @property
    def ends(self) -> datetime:
        """The first moment after the period."""
        return midnight(self.last + DAY)


def in_words(first: date, last: date) -> str:
    """The period in the current language, as short as it is clear: `November 2026` for a whole
    month, `2026` for a whole year, `1 – 15 November 2026`, `28 October – 3 November 2026`.
    """
    day, day_and_month, whole = (
        pgettext("format of a day of a month, see Django's date filter", "j"),
        pgettext("format of a day and its month, see Django's date filter", "j F"),
        pgettext("format of a date in words, see Django's date filter", "j F Y"),
    )
    after = last + DAY
    if first == last:
        return date_format(first, whole)
    if first.day == after.day == 1 and after == (first + 31 * DAY).replace(day=1):
        return date_format(first, "YEAR_MONTH_FORMAT")
    if (first.month, first.day, after.month, after.day) == (1, 1, 1, 1) and (
        first.year == last.year
    ):
        return date_format(first, "Y")
    begins = whole
    if first.year == last.year:
        begins = day if first.month == last.month else day_and_month
    return f"{date_format(first, begins)} – {date_format(last, whole)}"
