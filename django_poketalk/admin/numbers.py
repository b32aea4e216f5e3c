"""What all pages of stored numbers share.

Without the permission to see numbers, a stored number is masked, can't be edited and can't be found
by searching.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..models import BlacklistedNumber, Phone
from ..protocol import numbers
from ..shared.admin_names import NumbersInNames
from ..shared.changelist import SafeLookups, names_a_number, without_numbers
from .object_permissions import ObjectPermissions


@admin.display(description=_("number"))
def masked_number(row: BlacklistedNumber | Phone) -> str:
    return left_to_right(str(row))


@admin.display(description=_("number"), ordering="number")
def whole_number(row: BlacklistedNumber | Phone) -> str:
    return left_to_right(numbers.display(row.number))


def left_to_right(number: str) -> str:
    """A displayed number as HTML: on one line, and in its order in every language."""
    return format_html('<bdi dir="ltr">{}</bdi>', number.replace(" ", "\N{NO-BREAK SPACE}"))


class NumberAdmin(ObjectPermissions, SafeLookups, NumbersInNames):
    """Rows with a `number`, which is masked for users who may not see numbers, as are the numbers
    in their `text`.
    """

    columns: tuple[str, ...]
    text: str  # a column
    masked_text: Any
    facts: tuple[str, ...] = ()  # read-only fields

    class Media:
        css = {"all": ("poketalk/admin.css",)}

    def whole_numbers(self, request: HttpRequest) -> bool:
        return permissions.may_see_numbers(request.user)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if names_a_number(lookup) and not permissions.may_see_numbers(request.user):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_ordering(self, request: HttpRequest) -> Any:
        ordering = super().get_ordering(request) or self.opts.ordering
        may_see = permissions.may_see_numbers(request.user)
        return ordering if may_see else without_numbers(ordering)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = display_columns(request, self.columns)
        whole = permissions.may_see_numbers(request.user)
        shown = {"number": whole_number, self.text: self.text if whole else "masked_text"}
        return [shown.get(column, column) for column in columns]

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("^number",) if permissions.may_see_numbers(request.user) else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = tuple(self.form.base_fields)
        if obj is None:
            return [*fields]
        text = "masked_text" if self._hides_text(request, obj) else self.text
        shown = display_columns(request, fields)
        return [*(text if field == self.text else field for field in shown), *self.facts]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None or permissions.may_see_numbers(request.user):
            return [*self.facts]
        # Listing `number` too removes its input from the form.
        text = ["masked_text", self.text] if self._hides_text(request, obj) else []
        return [masked_number, "number", *text, *self.facts]

    def _hides_text(self, request: HttpRequest, row: Any) -> bool:
        """Whether the text contains a number that this user may not see, or overwrite."""
        is_harmless: bool = self.masked_text(row) == getattr(row, self.text)
        return not is_harmless and not permissions.may_see_numbers(request.user)


def display_columns(request: HttpRequest, columns: tuple[str, ...]) -> list[Any]:
    """The columns, with the number masked if the user may not see it."""
    if permissions.may_see_numbers(request.user):
        return list(columns)
    return [masked_number if column == "number" else column for column in columns]
