"""The list of calls, page by page, with the objects that they are about fetched together, and with
the way to a period.
"""

from __future__ import annotations

from datetime import date

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext

from ..calls import subjects
from ..shared.changelist import LongChangeList
from . import periods
from .filters import DayFilter
from .periods import Period

Link = tuple[str, str]  # its words and its address


class CallChangeList(LongChangeList):
    """A page of calls."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        subjects.load(self.result_list)

    @property
    def day_filter(self) -> DayFilter | None:
        """What says the period. A project's own list may have none."""
        return next((spec for spec in self.filter_specs if isinstance(spec, DayFilter)), None)

    def period_back(self) -> Link | None:
        """From the period that is chosen to the one that it is in."""
        chosen = self.day_filter
        if chosen is None or chosen.value() is None:
            return None
        above = periods.above(chosen.period) if chosen.period else None
        if above is None:
            return gettext("All dates"), self.get_query_string(remove=[chosen.parameter_name])
        return self._link(above)

    def period_here(self) -> str:
        """The day that is chosen: none is below it."""
        chosen = self.day_filter
        return chosen.period.title if chosen and chosen.period and chosen.period.is_day else ""

    def periods_below(self) -> list[Link]:
        """The years, or what the chosen one has. Asks for the first call and the last, each the end
        of an index, whatever else is filtered by.
        """
        chosen = self.day_filter
        if chosen is None or self.period_here():
            return []
        first, last = self._day_of("created_at"), self._day_of("-created_at")
        if first is None or last is None:
            return []
        return [self._link(period) for period in periods.below(chosen.period, first, last)]

    def _link(self, period: Period) -> Link:
        return period.title, self.get_query_string({DayFilter.parameter_name: period.address})

    def _day_of(self, order: str) -> date | None:
        ends = self.root_queryset.order_by(order).values_list("created_at", flat=True)
        at = ends.first()
        return timezone.localdate(at) if at else None
