"""Lists in the admin of both halves: nothing counts all their rows, which may be millions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import BaseModelAdmin, IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format

MOST_COUNTED = 10_000
LAST_PAGE = 1_000_000  # no database reads further


Conditions = Mapping[str, tuple[Any, Q]]  # by their value in the address: words, what they mean

NUMBERS = {"number", "from_number", "to_number"}


def names_a_number(lookup: str) -> bool:
    """Whether a lookup of an address (`?to_number__startswith=44`) is about a phone number, also
    one of a row that this one belongs to. Digit by digit, it would tell a number that is masked.
    """
    return not NUMBERS.isdisjoint(lookup.split("__"))


class NoNul(BaseModelAdmin):  # type: ignore[type-arg]
    """A list whose address may hold no NUL, which PostgreSQL refuses: it is answered as a filter
    that cannot be.
    """

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if "\x00" in value:
            raise IncorrectLookupParameters
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


class LongChangeList(ChangeList):
    """Reads a page and one row more. Counts only where that leaves open how many there are, and no
    further than `MOST_COUNTED`; behind that, pages go on for as long as there are rows.
    """

    result_list: Any
    result_count: int

    def get_results(self, request: HttpRequest) -> None:
        self.result_list = self._everything() or self._one_page()
        self.show_full_result_count = False
        self.full_result_count = None
        self.show_admin_actions = True
        self.can_show_all = self.result_count <= self.list_max_show_all
        self.multi_page = self.result_count > self.list_per_page
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        self.paginator.count = self.result_count
        is_open_end = isinstance(self.result_count, AtLeast)
        self.paginator.num_pages = -(-self.result_count // self.list_per_page) + is_open_end

    @property
    def counted(self) -> str:
        """How many there are, as people read it: `12`, `10,000+`."""
        more = "+" if isinstance(self.result_count, AtLeast) else ""
        return f"{number_format(int(self.result_count), force_grouping=True)}{more}"

    @property
    def page_range(self) -> Iterable[int | str]:
        """The pages to link to; none where all is on one."""
        if not self.multi_page or (self.show_all and self.can_show_all):
            return ()
        pages: Iterable[int | str] = self.paginator.get_elided_page_range(self.page_num)
        return pages

    @property
    def show_all_link(self) -> str:
        return self.get_query_string({ALL_VAR: ""})

    def _everything(self) -> list[Any]:
        """All rows, where that was asked for and they are not too many."""
        if not self.show_all:
            return []
        rows = list(self.queryset[: self.list_max_show_all + 1])
        self.result_count = len(rows)
        return rows if len(rows) <= self.list_max_show_all else []

    def _one_page(self) -> list[Any]:
        if not 1 <= self.page_num <= LAST_PAGE:
            raise IncorrectLookupParameters
        start = (self.page_num - 1) * self.list_per_page
        end = start + self.list_per_page
        rows = list(self.queryset[start : end + 1])
        if not rows and start:
            raise IncorrectLookupParameters
        self.result_count = start + len(rows)
        if self.result_count > end:
            self.result_count = AtLeast(end) if end >= MOST_COUNTED else count(self.queryset)
        return rows[: self.list_per_page]


def count(rows: QuerySet[Any]) -> int:
    """How many, counted up to `MOST_COUNTED`."""
    counted = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    return counted if counted <= MOST_COUNTED else AtLeast(MOST_COUNTED)
