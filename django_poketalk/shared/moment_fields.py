"""Times of rows in the admin of both halves: in the one format of `moments`, not in Django's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import DateTimeField, Model
from django.http import HttpRequest, HttpResponse

from .moments import moment_cell


class MomentFields(BaseModelAdmin):  # type: ignore[type-arg]
    """Displays times in lists, on pages and in their inlines: those that the user cannot change. On
    a page, with the time zone.
    """

    def get_list_display(self, request: HttpRequest) -> Any:
        columns: Any = super().get_list_display(request)  # type: ignore[misc]
        return _in_one_format(self.model, columns, with_zone=False)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        page = context["adminform"]
        _format(page, self.model, page.readonly_fields, with_zone=True)
        for inline in context["inline_admin_formsets"]:
            names = flatten_fieldsets(inline.fieldsets)
            fixed = inline.readonly_fields if inline.has_change_permission else names
            _format(inline, inline.opts.model, fixed, with_zone=False)
        response: HttpResponse = super().render_change_form(  # type: ignore[misc]
            request, context, *args, **kwargs
        )
        return response


def _format(page: Any, model: Any, fixed: Iterable[Any], *, with_zone: bool) -> None:
    """Replace the times among the `fixed` fields of a page or an inline."""
    fixed = {*fixed}
    page.fieldsets = [
        (title, {**options, "fields": [_row(model, each, fixed, with_zone) for each in rows]})
        for title, options in page.fieldsets
        for rows in [options["fields"]]
    ]
    added = _in_one_format(model, fixed, with_zone=with_zone)
    page.readonly_fields = [*page.readonly_fields, *filter(callable, added)]


def _row(model: Any, fields: Any, fixed: set[Any], with_zone: bool) -> Any:
    """A field, or the fields of one line."""
    if isinstance(fields, (list, tuple)):
        return [_row(model, each, fixed, with_zone) for each in fields]
    if fields not in fixed:
        return fields
    return _in_one_format(model, [fields], with_zone=with_zone)[0]


def _in_one_format(model: Any, names: Iterable[Any], *, with_zone: bool) -> list[Any]:
    times = {each.name for each in model._meta.fields if isinstance(each, DateTimeField)}
    return [_column(model, name, with_zone) if name in times else name for name in names]


@cache
def _column(model: type[Model], name: str, with_zone: bool) -> Callable[[Any], str]:
    field: Any = model._meta.get_field(name)

    @admin.display(description=field.verbose_name, ordering=name)
    def column(row: Any) -> str:
        return moment_cell(getattr(row, name), with_zone=with_zone) or "-"

    column.__name__ = name  # Django names the class of its cells after it
    return column
