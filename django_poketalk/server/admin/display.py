"""Base classes of the service's admin: read-only pages, and numbers masked without permission."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import number_search, numbers
from django_poketalk.shared.admin_names import NumbersInNames
from django_poketalk.shared.masked_numbers import NoNumberLookups

from .number_columns import GroupedNumbers
from .related_links import LinksForUser

NOTHING = "—"  # for None, which read-only pages of Django's admin show as a word


class NumbersByPermission(LinksForUser, NoNumberLookups):
    """Numbers are whole for users with the permission, and customers' EventURLs never searched."""

    def whole_numbers(self, request: HttpRequest) -> bool:
        return may_see_numbers(request)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if "eventurl" in lookup.split("__"):  # may contain a customer's signature
            return False
        return super().lookup_allowed(lookup, value, request)


class AppendOnly(NumbersByPermission):
    """For rows that stay as they are."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(AppendOnly):
    """For rows that only the service writes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NamesItsCall(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that belong to a call, whose page names it by the numbers that the reader may see. Adds
    a column for lists.
    """

    @admin.display(description=_("call"), ordering="call_id")
    def call_key(self, row: Any) -> str:
        """The primary key of the call, which needs no query."""
        return str(row.call_id)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        row: Any = super().get_object(request, *args, **kwargs)
        if row is not None and row.call is not None:
            row.call.shows_numbers = may_see_numbers(request)
        return row


class ExplainedColumns(admin.ModelAdmin):  # type: ignore[type-arg]
    """Columns in place of fields of a form, with the help texts of these fields."""

    def columns_of_fields(self) -> Mapping[str, str]:
        """The columns by the fields that they display. The model may lack some of the fields."""
        return {}

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        columns = self.columns_of_fields()
        fields = {field.name: field for field in self.model._meta.concrete_fields}
        texts = {
            column: fields[name].help_text for name, column in columns.items() if name in fields
        }
        kwargs["help_texts"] = {**kwargs.get("help_texts", {}), **texts}
        return super().get_form(request, *args, **kwargs)


class MaskedNumbersPage(NumbersByPermission, GroupedNumbers, NumbersInNames, ExplainedColumns):
    """`GroupedNumbers` for a model admin, with its search."""

    searched_numbers: ClassVar[tuple[str, ...]] = ()  # columns, in any spelling of a number
    number_search_fields: ClassVar[tuple[str, ...]] = ()  # other columns that may have numbers

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    def columns_of_fields(self) -> Mapping[str, str]:
        return {**super().columns_of_fields(), **self.grouped}

    def get_search_fields(self, request: HttpRequest) -> Any:
        """The search fields. Numbers are included only if the user may see them."""
        fields = super().get_search_fields(request)
        return [*fields, *self.number_search_fields] if may_see_numbers(request) else fields

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """By the search fields, or by a number in any spelling if the user may see numbers."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        number = number_condition(search_term, self.searched_numbers)
        if number and may_see_numbers(request):
            found = found | queryset.filter(number)
        return found, may_repeat


class CallSearch(admin.ModelAdmin):  # type: ignore[type-arg]
    """Searches by `custom`, or by a number in any spelling if the user may see numbers."""

    searched_numbers: ClassVar[tuple[str, ...]] = ("number",)

    def with_custom(self, text: str) -> Q:
        """The rows of calls with this `custom`."""
        return Q(custom=text)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        if not search_term:
            return queryset, False
        found = self.with_custom(search_term)
        if may_see_numbers(request):
            found |= number_condition(search_term, self.searched_numbers)
        return queryset.filter(found), False


def number_condition(text: str, columns: tuple[str, ...]) -> Q:
    """The rows whose number in one of these columns begins as this text, in any spelling. Empty if
    the text is not a number.
    """
    found = Q()
    for beginning in number_search.beginnings(text):
        first, end = number_search.span(numbers.wire(beginning))
        for column in columns:
            span = Q(**{f"{column}__gte": first})
            found |= span & Q(**{f"{column}__lt": end}) if end else span
    return found


def may_see_numbers(request: HttpRequest) -> bool:
    """Whether the user may see whole phone numbers."""
    return request.user.has_perm("poketalk_server.view_numbers")


def may_see_buy_costs(request: HttpRequest) -> bool:
    """Whether the user may see what calls cost us, and the margin."""
    return request.user.has_perm("poketalk_server.view_buy_costs")


def all_fields(model: type[models.Model], *without: str) -> tuple[str, ...]:
    """The names of a model's fields, without the primary key and `without`."""
    return tuple(
        field.name
        for field in model._meta.concrete_fields
        if not field.primary_key and field.name not in without
    )


def seconds(at: datetime | None) -> str:
    """A time to the second for CSV files, in the current time zone, or "" for None."""
    return date_format(timezone.localtime(at), "Y-m-d H:i:s") if at else ""


def amount(value: Decimal | None) -> str | None:
    """An amount of money in the admin's number format, which Django applies only to fields."""
    return None if value is None else number_format(value, 3)
