"""What staff may see: pages that are only read, and numbers that are masked without permission."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html

from django_poketalk.protocol import numbers
from django_poketalk.shared.changelist import NoNul, names_a_number


class NumbersNotLookedUp(NoNul):
    """Lets nobody find out by an address what is masked."""

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if "eventurl" in lookup.split("__"):  # which may hold a signature of the customer's
            return False
        if names_a_number(lookup) and not may_see_numbers(request):
            return False
        return super().lookup_allowed(lookup, value, request)


class ReadOnly(NumbersNotLookedUp):
    """Rows that the service writes and nobody edits."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MaskedNumbers(NumbersNotLookedUp):
    """Puts each field of `masks` in the place of its mask for staff who may see whole numbers."""

    masks: ClassVar[Mapping[str, str]] = {}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The fields, masked or not."""
        return self._for(request, super().get_fields(request, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The read-only fields, masked or not."""
        return self._for(request, super().get_readonly_fields(request, obj))

    def _for(self, request: HttpRequest, names: Any) -> list[Any]:
        if not may_see_numbers(request):
            return list(names)
        whole = {mask: field for field, mask in self.masks.items()}
        return [whole.get(name, name) for name in names]


class MaskedNumbersPage(MaskedNumbers, admin.ModelAdmin):  # type: ignore[type-arg]
    """The same for a page of its own, with its list and its search."""

    number_search_fields: ClassVar[tuple[str, ...]] = ()

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    def get_list_display(self, request: HttpRequest) -> Any:
        """The columns, masked or not."""
        return self._for(request, super().get_list_display(request))

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Numbers can be searched for by those alone who may see them."""
        own = super().get_search_fields(request)
        return [*own, *self.number_search_fields] if may_see_numbers(request) else own


def may_see_numbers(request: HttpRequest) -> bool:
    """Whether this member of staff may see whole phone numbers."""
    return request.user.has_perm("poketalk_server.view_numbers")


def masked(number: str) -> str:
    """A number's ends, left to right on every page."""
    return format_html('<bdi dir="ltr">{}</bdi>', numbers.mask(number))


def all_fields(model: type[models.Model], *without: str) -> tuple[str, ...]:
    """The names of a model's columns in order, but for `without`."""
    return tuple(
        field.name
        for field in model._meta.concrete_fields
        if not field.primary_key and field.name not in without
    )


def seconds(moment: datetime | None) -> str:
    """A time of day as support people compare them: to the second, in their time zone."""
    return date_format(timezone.localtime(moment), "Y-m-d H:i:s") if moment else ""


def amount(value: Decimal | None) -> str | None:
    """Money as Django writes columns; what is reckoned for a page, it leaves as it is."""
    return None if value is None else number_format(value, 3)


def one_or_404(model_admin: admin.ModelAdmin[Any], request: HttpRequest, pk: Any) -> Any:
    """The row for whoever may see it; `PermissionDenied` for others, 404 where there is none."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    row = model_admin.get_object(request, str(pk))
    if row is None:
        raise Http404
    if not model_admin.has_view_permission(request, row):
        raise PermissionDenied
    return row
