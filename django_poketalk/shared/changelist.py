"""Lists in the admin of both halves: nothing counts all their rows, which may be millions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import BaseModelAdmin, IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, PAGE_VAR, ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property

from .periods import YEARS

MOST_COUNTED = 10_000
LAST_PAGE = 1_000_000  # no database reads further

Conditions = Mapping[str, tuple[Any, Q]]  # by their value in the address: words, what they mean

DATE = re.compile(r"[0-9]{4}-[0-9]")
NUMBERS = {"number", "from_number", "to_number", "to_extension", "presented_number"}


def names_a_number(lookup: str) -> bool:
    """Whether a lookup of an address (`?to_number__startswith=44`) is about a phone number, also
    one of a row that this one belongs to. Digit by digit, it would tell a number that is masked.
    """
    return not NUMBERS.isdisjoint(lookup.split("__"))


class SafeLookups(BaseModelAdmin):  # type: ignore[type-arg]
    """Refuses values in the address that databases cannot compare: a NUL, and times that overflow
    in UTC.
    """

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if "\x00" in value:
            raise IncorrectLookupParameters
        if DATE.match(value) and int(value[:4]) not in YEARS:
            raise DisallowedModelAdminLookup(f"The year must be between 2000 and 2999: {value!r}.")
        return super().lookup_allowed(lookup, value, request)


class ChoiceFilter(SimpleListFilter):
    """One of a few conditions. A value that is none of them finds nothing."""

    conditions: ClassVar[Conditions]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, words) for value, (words, _condition) in self.conditions.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        chosen = self.conditions.get(value)
        return queryset.filter(chosen[1]) if chosen else queryset.none()


class AtLeast(int):
    """A count that ended before its end: that many, and more."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Reads one window of rows, and one row more, before it counts. Counts only where that leaves
    open how many there are, and no further than `MOST_COUNTED`; behind that, pages go on for as
    long as there are rows.
    """

    object_list: QuerySet[Any]
    start = 0
    size = 0

    @cached_property
    def window(self) -> list[Any]:
        """The `size` rows from `start` on, and one more if there is one."""
        return list(self.object_list[self.start : self.start + self.size + 1])

    @cached_property
    def count(self) -> int:
        end = self.start + self.size
        if self.window or not self.start:
            if len(self.window) <= self.size:
                return self.start + len(self.window)
            if end >= MOST_COUNTED:
                return AtLeast(end)
        return count(self.object_list)

    @cached_property
    def num_pages(self) -> int:
        return super().num_pages + isinstance(self.count, AtLeast)

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = first + self.per_page
        if self.start <= first and last <= self.start + self.size:
            rows = self.window[first - self.start : last - self.start]
        else:
            rows = list(self.object_list[first:last])
        return Page(rows, number, self)

    def all_rows(self) -> list[Any]:
        """Without another query if the window holds them all."""
        return self.window if len(self.window) == self.count else list(self.object_list)


class LongChangeList(ChangeList):
    """A list whose paginator is a `BoundedPaginator`."""

    result_list: Any
    result_count: int
    paginator: BoundedPaginator

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.is_one_page:  # which Django would read again
            self.result_list = self.paginator.all_rows()

    @property
    def is_one_page(self) -> bool:
        """Whether all rows are displayed at once."""
        return not self.multi_page or (self.show_all and self.can_show_all)

    @property
    def counted(self) -> str:
        """How many there are, as people read it: `12`, `10,000+`."""
        more = "+" if isinstance(self.result_count, AtLeast) else ""
        return f"{number_format(int(self.result_count), force_grouping=True)}{more}"

    @property
    def page_range(self) -> Iterable[int | str]:
        """The pages to link to; none where all is on one."""
        if self.is_one_page:
            return ()
        pages: Iterable[int | str] = self.paginator.get_elided_page_range(self.page_num)
        return pages

    @property
    def show_all_link(self) -> str:
        return self.get_query_string({ALL_VAR: ""})


class LongList(ModelAdmin):  # type: ignore[type-arg]
    """The admin of a model with very many rows."""

    paginator = BoundedPaginator
    show_full_result_count = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LongChangeList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any
    ) -> Any:
        """Its window is the page that is asked for, or as many rows as may be shown at once."""
        paginator: Any = super().get_paginator(request, queryset, per_page, *args, **kwargs)
        if ALL_VAR in request.GET:
            paginator.size = self.list_max_show_all
        else:
            number = _page_number(request)
            paginator.size = per_page
            paginator.start = (number - 1) * per_page if 1 <= number <= LAST_PAGE else 0
        return paginator


def _page_number(request: HttpRequest) -> int:
    try:
        return int(request.GET.get(PAGE_VAR, 1))
    except ValueError:
        return 1


def count(rows: QuerySet[Any]) -> int:
    """How many, counted up to `MOST_COUNTED`."""
    counted = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    return counted if counted <= MOST_COUNTED else AtLeast(MOST_COUNTED)
