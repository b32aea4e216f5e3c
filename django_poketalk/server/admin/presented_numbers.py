"""The numbers that accounts may present as caller ID, in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.changelist import ChoiceFilter, Conditions
from django_poketalk.shared.masked_numbers import masked_text

from ..database.clock import database_now
from ..models import PresentedNumber
from .display import MaskedNumbersPage
from .number_columns import masked_column


class PresentedNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A presented number, in any format."""

    number = forms.CharField(
        label=_("Number"),
        max_length=numbers.MAX_TEXT_LENGTH,
        help_text=_("International format, such as +44 20 7946 0123."),
    )


class VerifiedFilter(ChoiceFilter):
    """Whether somebody made sure that the numbers belong to their accounts."""

    title = _("verified")
    parameter_name = "verified"
    conditions: ClassVar[Conditions] = {
        "yes": (_("Yes"), Q(verified_at__isnull=False)),
        "no": (_("No"), Q(verified_at=None)),
    }


@admin.register(PresentedNumber)
class PresentedNumberAdmin(MaskedNumbersPage):
    """Numbers that callees may see, and their verification. A number cannot be changed, because
    its verification would not hold for another.
    """

    masks: ClassVar[Mapping[str, str]] = {"number": "masked_number", "label": "masked_label"}
    texts = ("label",)
    form = PresentedNumberForm
    fields = ("account", "number", "label", "verified_at", "is_default")
    list_display = ("number", "label", "account", "verified_at", "is_default")
    list_filter = (VerifiedFilter, "is_default")
    list_select_related = ("account",)
    search_fields = ("account__name",)
    searched_numbers = ("number",)
    number_search_fields = ("label",)
    autocomplete_fields = ("account",)
    actions = ("verify",)
    masked_number = masked_column("number", _("number"))
    masked_label = masked_text("label", _("label"))

    def get_readonly_fields(self, request: HttpRequest, obj: PresentedNumber | None = None) -> Any:
        """The account and number of an existing entry, and what is masked."""
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else [*fields, "account", "number"]

    @admin.action(description=_("Mark as verified"), permissions=["change"])
    def verify(self, request: HttpRequest, queryset: QuerySet[PresentedNumber]) -> None:
        """Record that the selected numbers belong to their accounts."""
        verified, now = list(queryset.filter(verified_at=None)), database_now()
        for entry in verified:
            entry.verified_at = now
            entry.save()
            self.log_change(request, entry, "Marked as verified.")
        self.message_user(
            request,
            gettext("Numbers marked as verified: %(count)d.") % {"count": len(verified)},
            messages.SUCCESS if verified else messages.WARNING,
        )
