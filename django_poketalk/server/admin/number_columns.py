"""Phone numbers in the columns and read-only fields of the service's admin: grouped, or masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.masked_numbers import MaskedNumbers
from django_poketalk.shared.number_names import left_to_right

Column = Callable[[Any, Any], str]


def grouped_column(field: str, description: Any, empty_value: str | None = None) -> Column:
    """A column with the whole number in this field, grouped, and sorted by its digits."""
    return _column(field, description, numbers.display, empty_value, ordering=field)


def masked_column(field: str, description: Any, empty_value: str | None = None) -> Column:
    """A column with the masked number in this field."""
    return _column(field, description, numbers.mask, empty_value)


def _column(
    field: str,
    description: Any,
    written: Callable[[str], str],
    empty_value: str | None,
    ordering: str | None = None,
) -> Column:
    @admin.display(description=description, empty_value=empty_value, ordering=ordering)
    def column(page: Any, row: Any) -> str:
        number: str = getattr(row, field)
        return number and left_to_right(written(number))

    return column


class GroupedNumbers(MaskedNumbers):
    """`MaskedNumbers` that displays whole numbers grouped, as `grouped` maps their fields to
    columns. Inputs contain the digits.
    """

    grouped: ClassVar[Mapping[str, str]] = {"number": "grouped_number"}
    grouped_number = grouped_column("number", _("number"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else [*fields, *self.grouped.values()]

    def for_user(self, request: HttpRequest, names: Any, row: Any = None) -> list[Any]:
        """The columns of a list, or the fields of a row, as this user may see them."""
        names = super().for_user(request, names, row)
        inputs: set[Any] = set()
        if row is not None and self.has_change_permission(request, row):
            inputs = {*names}.difference(self.get_readonly_fields(request, row))
        return [name if name in inputs else self.grouped.get(name, name) for name in names]
