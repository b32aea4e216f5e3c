"""Periods of whole days in the current time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils import timezone

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
