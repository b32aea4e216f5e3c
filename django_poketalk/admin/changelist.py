"""The list of calls. Loads the subjects of each page together, and links to periods of time."""

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

Link = tuple[str, str]  # text and URL


class CallChangeList(LongChangeList):
    """A page of calls."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        subjects.load(self.result_list)

    @property
    def day_filter(self) -> DayFilter | None:
        """The filter by period, or None if a project's own list has none."""
        return next((spec for spec in self.filter_specs if isinstance(spec, DayFilter)), None)

    def period_back(self) -> Link | None:
        """The link from the selected period to the longer one that contains it."""
        chosen = self.day_filter
        if chosen is None or chosen.value() is None:
            return None
        above = periods.above(chosen.period) if chosen.period else None
        if above is None:
            return gettext("All dates"), self.get_query_string(remove=[chosen.parameter_name])
        return self._link(above)

    def period_here(self) -> str:
        """The title of the selected day, or "" if no single day is selected."""
        chosen = self.day_filter
        return chosen.period.title if chosen and chosen.period and chosen.period.is_day else ""

    def periods_below(self) -> list[Link]:
        """Links to the years, or to the parts of the selected period. Queries the times of the
        first and the last call, which use an index. Other filters have no effect.
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
