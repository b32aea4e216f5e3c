"""The ledger in the admin. Entries can be added, but not changed or deleted."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst, smart_split, unescape_string_literal
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.admin_pages import admin_url
from django_poketalk.shared.changelist import LongList
from django_poketalk.shared.masked_numbers import masked_record

from ..billing import ledger
from ..models import Account, LedgerEntry
from ..models.ledger import IS_NO_CHARGE
from .display import AppendOnly, MaskedNumbersPage, NamesItsCall, may_see_numbers
from .money_columns import MoneyColumns, money_column
from .reversals import ReversePage

MOST_ACCOUNTS = 1000  # whose keys are part of the query of a search


class BookingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A payment or a correction. `key` ensures that a form submitted twice is booked once."""

    kind = forms.ChoiceField(
        label=capfirst(_("kind")),
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
class LedgerEntryAdmin(
    MoneyColumns, AppendOnly, MaskedNumbersPage, NamesItsCall, ReversePage, LongList
):
    """Ledger entries. Users with the permission add entries to top up or adjust a balance, or
    reverse one.
    """

    masks: ClassVar[Mapping[str, str]] = {"note": "masked_note"}
    grouped: ClassVar[Mapping[str, str]] = {}
    amounts: ClassVar[Mapping[str, str]] = {"amount": "money_amount", "balance": "money_balance"}
    form = BookingForm
    change_form_template = "admin/poketalk_server/ledgerentry/change_form.html"
    list_display = (
        "id",
        "created_at",
        "account",
        "kind",
        "side",
        "money_amount",
        "money_balance",
        "note",
        "reversal_link",
        "created_by",
    )
    list_filter = ("kind",)
    list_select_related = ("account", "created_by", "reversal")
    search_fields = ("account__name",)
    autocomplete_fields = ("account",)
    money_amount = money_column("amount", _("amount"))
    money_balance = money_column("balance", _("balance after"))
    masked_note = masked_record("note", _("note"))

    def get_fields(self, request: HttpRequest, obj: LedgerEntry | None = None) -> Any:
        if obj is None:
            return (*BookingForm.Meta.fields, "key")
        fields = (
            *("account", "kind", "amount", "balance", "call", "side"),
            *("note", "reversal_link", "created_at", "created_by"),
        )
        return self.with_currency(self.for_user(request, fields))

    def get_readonly_fields(self, request: HttpRequest, obj: LedgerEntry | None = None) -> Any:
        return () if obj is None else ("reversal_link", "masked_note", *self.amounts.values())

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """By the account's name, or by the note if the user may see numbers. Looks for the accounts
        first, since the database knows how many entries each has, and reads no notes of charges.
        """
        most = MOST_ACCOUNTS
        for word in smart_split(search_term):  # as Django's admin, which knows quoted phrases
            if word[0] == word[-1] and word[0] in "\"'":
                word = unescape_string_literal(word)
            accounts = Account.objects.filter(name__icontains=word).values_list("pk", flat=True)
            keys = list(accounts[: most + 1])
            found = Q(account__in=keys if len(keys) <= most else accounts)
            most = max(0, most - len(keys))
            if may_see_numbers(request):
                found |= IS_NO_CHARGE & Q(note__icontains=word)
            queryset = queryset.filter(found)
        return queryset, False

    @admin.display(description=_("reversal"))
    def reversal_link(self, entry: LedgerEntry) -> str:
        """A link to the entry that this one reverses, or that reverses this one."""
        by = entry.reversed_by
        other = entry.reverses_id if by is None else by.pk
        if other is None:
            return ""
        words = _("reverses entry %(pk)d") if by is None else _("reversed by entry %(pk)d")
        url = admin_url(self.admin_site, "poketalk_server_ledgerentry_change", other)
        return format_html('<a href="{}">{}</a>', url, words % {"pk": other})

    def save_model(self, request: HttpRequest, obj: LedgerEntry, form: Any, change: bool) -> None:
        """Book the entry through the ledger, with the user as its author."""
        book = ledger.top_up if obj.kind == LedgerEntry.Kind.TOP_UP else ledger.adjust
        key = form.cleaned_data["key"] or None
        entry = book(obj.account, obj.amount, note=obj.note, by=request.user, key=key)
        obj.pk = entry.pk
        obj.refresh_from_db()
