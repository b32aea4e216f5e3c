"""Lists in the admin of both halves: nothing counts all their rows, which may be millions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, PAGE_VAR, ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import DateField, Q, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property

from .moment_fields import MomentFields
from .periods import YEARS

MOST_COUNTED = 10_000
MOST_SCANNED = 500  # the same where no index finds the rows
DEEP = 1000  # from here on, keys are read before rows
LAST_PAGE = 1_000_000  # no database reads further

Conditions = Mapping[str, tuple[Any, Q]]  # by their value in the address: words, what they mean

DATE = re.compile(r"[0-9]{4}(-[0-9W]|W|[0-9]{4}T)")  # as `datetime.fromisoformat` reads it


class KeySelect(AutocompleteSelect):
    """A select with search that leaves out a value that is no key, instead of failing."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [each for each in value if self._is_key(each)], attr)

    def _is_key(self, value: str) -> bool:
        try:
            self.field.target_field.clean(value, None)
        except ValidationError:
            return False
        return True


class SafeLookups(MomentFields):
    """Refuses values in the address that databases cannot compare: a NUL, and times that overflow
    in UTC. Forms refuse keys that are none, and begin without times of the address that are none.
    """

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", KeySelect(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)  # type: ignore[misc]
        for field in self.model._meta.fields:
            if isinstance(field, DateField) and isinstance(initial.get(field.name), str):
                form_field: Any = field.formfield()
                try:
                    initial[field.name] = form_field.to_python(initial[field.name])
                except ValidationError:
                    del initial[field.name]
        return initial

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if "\x00" in value:
            raise IncorrectLookupParameters
        is_year = not {"year", "iso_year"}.isdisjoint(lookup.split("__"))
        for each in value.split(","):  # as in `__range` and `__in`
            year = each if is_year else each.strip()[:4] if DATE.match(each.strip()) else None
            if year is not None and year not in map(str, YEARS):
                raise DisallowedModelAdminLookup(
                    f"The year must be between 2000 and 2999: {year!r}"
                )
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
    open how many there are, and no further than its `limit`; behind that, pages go on for as
    long as there are rows.
    """

    object_list: QuerySet[Any]
    start = 0
    size = 0

    def look_at(self, number: int) -> None:
        """Make this page the window."""
        self.size = self.per_page
        self.start = (number - 1) * self.per_page if 1 <= number <= LAST_PAGE else 0

    @cached_property
    def window(self) -> list[Any]:
        """The `size` rows from `start` on, and one more if there is one."""
        end = self.start + self.size + 1
        if self.start < DEEP:
            return list(self.object_list[self.start : end])
        # A database skips keys in an index faster than rows with all that belongs to them.
        return self.rows(list(self.object_list.values_list("pk", flat=True)[self.start : end]))

    def rows(self, keys: list[Any]) -> list[Any]:
        """The rows with these keys, in their order."""
        found = self.object_list.in_bulk(keys)
        return [found[key] for key in keys if key in found]

    @cached_property
    def count(self) -> int:
        end = self.start + self.size
        if self.window or not self.start:
            if len(self.window) <= self.size:
                return self.start + len(self.window)
            if end >= self.limit():
                return AtLeast(end)
        return self.count_from_start()

    def limit(self) -> int:
        """How far rows are counted."""
        return MOST_COUNTED

    def count_from_start(self) -> int:
        """How many there are, up to the limit."""
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


class ScanPaginator(BoundedPaginator):
    """For rows that no index finds: one query reads the keys of the first ones, which tell both the
    window and how many there are, up to `MOST_SCANNED`.
    """

    @cached_property
    def keys(self) -> list[Any]:
        """The keys of the first rows, and one more if there is one."""
        return list(self.object_list.values_list("pk", flat=True)[: MOST_SCANNED + 1])

    @cached_property
    def window(self) -> list[Any]:
        end = self.start + self.size
        return self.rows(self.keys[self.start : end + 1]) if end <= MOST_SCANNED else super().window

    def limit(self) -> int:
        return MOST_SCANNED

    def count_from_start(self) -> int:
        found = len(self.keys)
        return found if found <= MOST_SCANNED else AtLeast(MOST_SCANNED)


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

    def get_paginator_class(self, request: HttpRequest) -> type[Paginator[Any]]:
        """The paginator of this request's list."""
        return self.paginator

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any
    ) -> Any:
        """Its window is the page that is asked for, or as many rows as may be shown at once."""
        kind: Any = self.get_paginator_class(request)
        paginator = kind(queryset, per_page, *args, **kwargs)
        if ALL_VAR in request.GET:
            paginator.size = self.list_max_show_all
        else:
            paginator.look_at(page_number(request))
        return paginator


def page_number(request: HttpRequest) -> int:
    """The page that is asked for, 1 unless the address has a number."""
    try:
        return int(request.GET.get(PAGE_VAR, 1))
    except ValueError:
        return 1


def count(rows: QuerySet[Any]) -> int:
    """How many, counted up to `MOST_COUNTED`."""
    counted = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    return counted if counted <= MOST_COUNTED else AtLeast(MOST_COUNTED)
