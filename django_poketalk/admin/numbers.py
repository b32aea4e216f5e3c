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
from ..protocol import numbers
from ..shared.admin_names import NumbersInNames
from ..shared.masked_numbers import MaskedNumbers
from ..shared.number_names import left_to_right
from .object_permissions import ObjectPermissions


class NumberAdmin(ObjectPermissions, MaskedNumbers, NumbersInNames):
    """Rows with a `number`, and a text of people that may have one."""

    class Media:
        css = {"all": ("poketalk/admin.css",)}

    def whole_numbers(self, request: HttpRequest) -> bool:
        return permissions.may_see_numbers(request.user)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = super().get_list_display(request)
        return ["whole_number" if column == "number" else column for column in columns]

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("^number",) if permissions.may_see_numbers(request.user) else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_fields(request, obj)
        return [each for each in fields if obj or each not in self.readonly_fields]

    @admin.display(description=_("number"))
    def masked_number(self, row: Any) -> str:
        return left_to_right(str(row))

    @admin.display(description=_("number"), ordering="number")
    def whole_number(self, row: Any) -> str:
        return left_to_right(numbers.display(row.number))
