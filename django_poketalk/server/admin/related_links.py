"""Foreign keys on read-only pages: links only to pages that the user may view."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, Model
from django.http import HttpRequest


class LinksForUser(BaseModelAdmin):  # type: ignore[type-arg]
    """Displays the name of a related row without a link to its page, which Django always adds, if
    the user may not view that page. Only for users who may not change the row itself.
    """

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.for_user_only(request, super().get_fieldsets(request, obj), obj)

    def for_user_only(self, request: HttpRequest, fieldsets: Any, obj: Any) -> Any:
        """The fieldsets, with names instead of links where the user may follow none."""
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (title, {**options, "fields": [self._for_user(request, f) for f in options["fields"]]})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return [*fields, *(self._for_user(request, f) for f in fields)]

    def _for_user(self, request: HttpRequest, name: Any) -> Any:
        try:
            field = self.opts.get_field(name) if isinstance(name, str) else None
        except FieldDoesNotExist:
            return name
        if not isinstance(field, ForeignKey):
            return name
        related: Any = field.related_model
        if not self.admin_site.is_registered(related):
            return name
        if self.admin_site.get_model_admin(related).has_view_permission(request):
            return name
        model: Any = self.model
        return _name_only(model, field.name)


@cache
def _name_only(model: type[Model], name: str) -> Callable[[Any], str]:
    @admin.display(description=model._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
    def column(row: Any) -> str:
        related = getattr(row, name)
        return "-" if related is None else str(related)

    return column
