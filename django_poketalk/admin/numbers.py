"""What all pages of stored numbers share.

Without the permission to see numbers, a stored number is masked, can't be edited and can't be found
by searching.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..models import BlacklistedNumber, Phone
from ..shared.admin_names import NumbersInNames
from ..shared.changelist import SafeLookups, names_a_number


@admin.display(description=_("number"))
def masked_number(row: BlacklistedNumber | Phone) -> str:
    return str(row)


class NumberAdmin(SafeLookups, NumbersInNames):
    """Rows with a `number`, which is masked for users who may not see numbers."""

    columns: tuple[str, ...]
    facts: tuple[str, ...] = ()  # read-only fields

    class Media:
        css = {"all": ("poketalk/admin.css",)}

    def whole_numbers(self, request: HttpRequest) -> bool:
        return permissions.may_see_numbers(request.user)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if names_a_number(lookup) and not permissions.may_see_numbers(request.user):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return display_columns(request, self.columns)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("^number",) if permissions.may_see_numbers(request.user) else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = self.form.base_fields
        return [*fields] if obj is None else [*display_columns(request, tuple(fields)), *self.facts]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None or permissions.may_see_numbers(request.user):
            return [*self.facts]
        # Listing `number` too removes its input from the form.
        return [masked_number, "number", *self.facts]


def display_columns(request: HttpRequest, columns: tuple[str, ...]) -> list[Any]:
    """The columns, with the number masked if the user may not see it."""
    if permissions.may_see_numbers(request.user):
        return list(columns)
    return [masked_number if column == "number" else column for column in columns]
