"""The numbers that accounts may present as caller ID, in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers

from ..models import PresentedNumber
from .display import MaskedNumbersPage, masked_column


class PresentedNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A presented number, in any format."""

    number = forms.CharField(
        label=_("number"),
        max_length=numbers.MAX_TEXT_LENGTH,
        help_text=_("International format, such as +44 20 7946 0123."),
    )


@admin.register(PresentedNumber)
class PresentedNumberAdmin(MaskedNumbersPage):
    """Numbers that callees may see, and their verification. A number cannot be changed, because
    its verification would not hold for another.
    """

    form = PresentedNumberForm
    fields = ("account", "number", "label", "verified_at", "is_default")
    list_display = ("number", "label", "account", "verified_at", "is_default")
    list_filter = (("verified_at", admin.EmptyFieldListFilter), "is_default")
    list_select_related = ("account",)
    search_fields = ("label", "account__name")
    number_search_fields = ("number__startswith",)
    autocomplete_fields = ("account",)
    actions = ("verify",)
    masked_number = masked_column("number", _("number"), ordering="number")

    def get_readonly_fields(self, request: HttpRequest, obj: PresentedNumber | None = None) -> Any:
        """The account and number of an existing entry."""
        return () if obj is None else self._for(request, ("account", "number"))

    @admin.action(description=_("Mark as verified"), permissions=["change"])
    def verify(self, request: HttpRequest, queryset: QuerySet[PresentedNumber]) -> None:
        """Record that the selected numbers belong to their accounts."""
        verified = list(queryset.filter(verified_at=None))
        for entry in verified:
            entry.verified_at = timezone.now()
            entry.save()
            self.log_change(request, entry, "Marked as verified.")
        self.message_user(
            request,
            gettext("Numbers marked as verified: %(count)d.") % {"count": len(verified)},
            messages.SUCCESS if verified else messages.WARNING,
        )
