"""The blacklist in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.masked_numbers import masked_text
from django_poketalk.shared.number_names import left_to_right

from ..models import BlacklistedNumber
from .display import MaskedNumbersPage


@admin.register(BlacklistedNumber)
class BlacklistedNumberAdmin(MaskedNumbersPage):
    """Numbers that are blocked on both legs, for one account or for all."""

    masks: ClassVar[Mapping[str, str]] = {"number": "masked_number", "reason": "masked_reason"}
    texts = ("reason",)
    fixed = ("is_prefix",)
    fields = ("account", "number", "is_prefix", "reason")
    list_display = ("number", "is_prefix", "account", "reason", "created_at")
    list_filter = ("is_prefix",)
    list_select_related = ("account",)
    search_fields = ("account__name",)
    searched_numbers = ("number",)
    number_search_fields = ("reason",)
    autocomplete_fields = ("account",)
    masked_reason = masked_text("reason", _("reason"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        written = form.cleaned_data.get("number")  # not in the form if it is masked
        extension = numbers.read(written).extension if written and not obj.is_prefix else ""
        if extension:
            text = _("Extension %(extension)s was ignored: the entry blocks the whole number.")
            self.message_user(request, text % {"extension": extension}, messages.WARNING)

    @admin.display(description=_("number or prefix"))
    def masked_number(self, entry: BlacklistedNumber) -> str:
        """The masked number, or a prefix that is too short to be one."""
        return left_to_right(entry.name_with(numbers.mask))

    @admin.display(description=_("number or prefix"), ordering="number")
    def grouped_number(self, entry: BlacklistedNumber) -> str:
        """The whole number, or the digits of a prefix with an ellipsis."""
        number = entry.number
        return left_to_right(f"{number}…" if entry.is_prefix else numbers.display(number))
