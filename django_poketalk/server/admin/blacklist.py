"""The blacklist in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import BlacklistedNumber
from .display import MaskedNumbersPage, may_see_numbers


@admin.register(BlacklistedNumber)
class BlacklistedNumberAdmin(MaskedNumbersPage):
    """Numbers that are blocked on both legs, for one account or for all."""

    fields = ("account", "number", "is_prefix", "reason")
    list_display = ("number", "is_prefix", "account", "reason", "created_at")
    list_filter = ("is_prefix",)
    list_select_related = ("account",)
    search_fields = ("reason", "account__name")
    number_search_fields = ("number__startswith",)
    autocomplete_fields = ("account",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: BlacklistedNumber | None = None
    ) -> Any:
        """A masked number cannot be edited."""
        return () if obj is None or may_see_numbers(request) else ("masked_number",)

    @admin.display(description=_("number or prefix"))
    def masked_number(self, entry: BlacklistedNumber) -> str:
        """The prefix, or the masked number."""
        return str(entry)
