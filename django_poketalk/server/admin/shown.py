"""What staff may see: pages that are only read, and numbers that are masked without permission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.db import models
from django.http import HttpRequest


class ReadOnly(BaseModelAdmin):  # type: ignore[type-arg]
    """Rows that the service writes and nobody edits."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MaskedNumbers(BaseModelAdmin):  # type: ignore[type-arg]
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


def all_fields(model: type[models.Model], *without: str) -> tuple[str, ...]:
    """The names of a model's columns in order, but for `without`."""
    return tuple(
        field.name
        for field in model._meta.concrete_fields
        if not field.primary_key and field.name not in without
    )
