"""The list of calls. Loads the subjects and results of a page together, and links to periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import F, prefetch_related_objects
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext

from ..calls import subjects
from ..presentation import wrap_up
from ..reports.outcomes import Outcome
from ..shared.changelist import LongChangeList
from . import periods
from .form_filters import DayFilter, FormFilter
from .periods import Period

Link = tuple[str, str]  # text and URL
FIGURES = ("final_cost", "final_talk_time")  # the sorted columns that have an index with the key
# Parameters of the filters by the outcome of a call
RARE = ("outcome", "code", "ended_by", "service", "result")
MOST_SORTED = 500


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """A filter that is in use: its title, what it selects, and the URL of the list without it."""

    title: str
    chosen: str
    without: str


class CallChangeList(LongChangeList):
    """A page of calls."""

    figure = ""  # that the list is sorted by, "" if it is not sorted by one
    sorted_among = 0  # the newest calls that are sorted, 0 if all are

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        subjects.load(self.result_list)
        if wrap_up.choices():  # not by a join, with which databases may sort whole tables
            prefetch_related_objects(self.result_list, "wrap_up")

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        """Sorts by cost or talk time among the newest `MOST_SORTED` calls, if the filters find
        calls that no index has in that order: a database would search all calls that cost more.
        """
        calls = super().get_queryset(request, exclude_parameters)
        if not self.figure or not self._is_rare:
            return calls
        newest = calls.order_by(*self.model_admin.get_ordering(request))
        keys = list(newest.values_list("pk", flat=True)[: MOST_SORTED + 1])
        self.sorted_among = MOST_SORTED if len(keys) > MOST_SORTED else 0
        return calls.filter(pk__in=keys[:MOST_SORTED])

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """By cost or talk time alone, and by key in the same direction, as in the column's index:
        many calls have the same cost, and would be sorted one by one otherwise. The calls of a day
        are found by time instead, so their order must be one that no index has.
        """
        ordering = list(super().get_ordering(request, queryset))
        name = str(ordering[0]) if ordering else ""
        self.figure = name.lstrip("-") if name.lstrip("-") in FIGURES else ""
        if not self.figure:
            return ordering
        is_descending = name.startswith("-")
        if self._is_rare or self.period_here():
            expression = F(self.figure) + 0
            first: Any = expression.desc() if is_descending else expression.asc()
        else:
            first = ordering[0]
        return [first, "-pk" if is_descending else "pk"]

    @property
    def _is_rare(self) -> bool:
        """Whether a filter selects calls by their outcome, except those that connected: these are
        most of the calls that cost something.
        """
        return any(
            name in self.params
            for name in RARE
            if (name, self.params.get(name)) != ("outcome", Outcome.CONNECTED.value)
        )

    @property
    def follows(self) -> bool:
        """Whether the page gets new rows by itself: the first page of the calls in progress."""
        is_first = self.page_num == 1 and self.params.get("outcome") == Outcome.LIVE
        return is_first and not self.figure

    @property
    def newest(self) -> int:
        """The key of the newest call on the page, 0 without one."""
        return max((call.pk for call in self.result_list), default=0)

    def active_filters(self) -> list[ActiveFilter]:
        """The filters in use, the search among them."""
        found = []
        for spec in self.filter_specs:
            if chosen := _chosen(spec, self):
                without = self.get_query_string(remove=_names(spec))
                found.append(ActiveFilter(capfirst(str(spec.title)), chosen, without))
        if self.query:
            without = self.get_query_string({SEARCH_VAR: None})
            found.append(ActiveFilter(gettext("Search"), self.query, without))
        return found

    @property
    def day_filter(self) -> DayFilter | None:
        """The filter by period, or None if a project's own list has none."""
        return next((spec for spec in self.filter_specs if isinstance(spec, DayFilter)), None)

    def period_back(self) -> Link | None:
        """The link from the selected period to the longer one that contains it."""
        chosen = self.day_filter
        if chosen is None or not chosen.chosen:
            return None
        above = periods.above(chosen.period) if chosen.period else None
        if above is None:
            return gettext("All dates"), self.get_query_string(remove=_names(chosen))
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
        changes = {DayFilter.parameter_name: period.address}
        return period.title, self.get_query_string(changes, [DayFilter.parameter_name])

    def _day_of(self, order: str) -> date | None:
        ends = self.root_queryset.order_by(order).values_list("created_at", flat=True)
        at = ends.first()
        return timezone.localdate(at) if at else None


def _names(spec: Any) -> list[str]:
    """The parameters of a filter."""
    return [name for name in spec.expected_parameters() if name]


def _chosen(spec: Any, changelist: CallChangeList) -> str:
    """What this filter selects, as it is displayed. "" if it is not in use."""
    if isinstance(spec, FormFilter):
        return spec.chosen
    if not any(name in changelist.filter_params for name in spec.expected_parameters()):
        return ""
    words = [choice["display"] for choice in spec.choices(changelist) if choice.get("selected")]
    values = (changelist.params.get(name) for name in spec.expected_parameters())
    return str(words[0] if words else next(filter(None, values), ""))
