"""The ledger in the admin. Entries can be added, but not changed or deleted."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..billing import ledger
from ..models import LedgerEntry
from .display import AppendOnly, NamesItsCall


class BookingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A payment or a correction. `key` ensures that a form submitted twice is booked once."""

    kind = forms.ChoiceField(
        label=_("kind"),
        choices=[
            (kind.value, kind.label)
            for kind in (LedgerEntry.Kind.TOP_UP, LedgerEntry.Kind.ADJUSTMENT)
        ],
    )

    key = forms.RegexField(
        r"^[0-9a-f]{32}\Z",
        widget=forms.HiddenInput,
        required=False,
        initial=lambda: secrets.token_hex(16),
    )

    class Meta:
        model = LedgerEntry
        fields = ("account", "kind", "amount", "note")

    def clean(self) -> dict[str, Any]:
        """Reject what the ledger would reject. The account stays locked until it is saved."""
        cleaned = super().clean() or self.cleaned_data
        account, amount = cleaned.get("account"), cleaned.get("amount")
        if account is None or amount is None:
            return cleaned
        if amount == 0 or (amount < 0 and cleaned.get("kind") == LedgerEntry.Kind.TOP_UP):
            raise ValidationError(
                {"amount": _("A top-up must be more than 0, an adjustment must not be 0.")}
            )
        row, key = ledger.lock(account.pk), cleaned.get("key")
        if key and LedgerEntry.objects.filter(idempotency_key=key).exists():
            raise ValidationError(
                _("This form was already submitted. Open it again to book another entry.")
            )
        try:
            ledger.balance_after(row, amount)
        except ValueError as error:
            raise ValidationError({"amount": str(error)}) from error
        return cleaned


@admin.register(LedgerEntry)
class LedgerEntryAdmin(AppendOnly, NamesItsCall):
    """Ledger entries. Users with the permission add entries to top up or adjust a balance."""

    form = BookingForm
    list_display = (
        "id",
        "created_at",
        "account",
        "kind",
        "side",
        "amount",
        "balance",
        "note",
        "created_by",
    )
    list_filter = ("kind",)
    list_select_related = ("account", "created_by")
    search_fields = ("account__name", "note")
    autocomplete_fields = ("account",)
    show_full_result_count = False

    def get_fields(self, request: HttpRequest, obj: LedgerEntry | None = None) -> Any:
        if obj is None:
            return (*BookingForm.Meta.fields, "key")
        return (
            "account",
            "kind",
            "amount",
            "balance",
            "call",
            "side",
            "note",
            "created_at",
            "created_by",
        )

    def save_model(self, request: HttpRequest, obj: LedgerEntry, form: Any, change: bool) -> None:
        """Book the entry through the ledger, with the user as its author."""
        book = ledger.top_up if obj.kind == LedgerEntry.Kind.TOP_UP else ledger.adjust
        key = form.cleaned_data["key"] or None
        entry = book(obj.account, obj.amount, note=obj.note, by=request.user, key=key)
        obj.pk = entry.pk
        obj.refresh_from_db()
