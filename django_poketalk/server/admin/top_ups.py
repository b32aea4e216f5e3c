"""The page that tops up an account: a form that adds one entry to the ledger."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.admin_pages import admin_url, one_or_404, page_path, render_page

from ..billing import ledger
from ..billing.rating import THOUSANDTH
from ..models import Account, LedgerEntry
from .money_columns import money


class TopUpForm(forms.Form):
    """A payment. `key` ensures that a form that is submitted twice is booked once."""

    amount = forms.DecimalField(
        label=_("Amount"), max_digits=15, decimal_places=3, min_value=THOUSANDTH
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=200,
        help_text=_("Such as an invoice number. The note appears on the statement."),
    )
    key = forms.RegexField(r"^[0-9a-f]{32}\Z", widget=forms.HiddenInput)

    def __init__(self, account: Account, data: Any = None) -> None:
        super().__init__(
            data, prefix="top_up", initial={"key": secrets.token_hex(16)}, label_suffix=""
        )
        self.account = account

    def book(self, by: Any) -> LedgerEntry | None:
        """Book the payment. None if the ledger rejects it; the form then has an error."""
        cleaned = self.cleaned_data
        try:
            return ledger.top_up(
                self.account, cleaned["amount"], cleaned["note"], by, cleaned["key"]
            )
        except ValueError as error:
            self.add_error("amount", str(error))
            return None


class TopUpPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the form to the admin of accounts, for users who may add to the ledger.

    It has its own page: next to the account's form, a user could save the other form and lose the
    amount.
    """

    top_up_template = "admin/poketalk_server/account/top_up.html"

    def get_urls(self) -> list[URLPattern]:
        top_up = page_path(self, "<int:pk>/top-up/", self.top_up_view, "top_up")
        return [top_up, *super().get_urls()]

    def may_top_up(self, request: HttpRequest) -> bool:
        return request.user.has_perm("poketalk_server.add_ledgerentry")

    def top_up_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Display the form, or book the payment and redirect to the account's page."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        account: Account = one_or_404(self, request, pk)
        if not self.may_top_up(request):
            raise PermissionDenied
        form = TopUpForm(account, request.POST if request.method == "POST" else None)
        if form.is_valid():
            with transaction.atomic():
                entry = form.book(request.user)
                if entry is not None and not entry.repeated:
                    self._log(request, account, entry)
            if entry is not None:
                self._confirm(request, account, entry)
                return redirect(admin_url(self.admin_site, "poketalk_server_account_change", pk))
        context = {
            "title": gettext("Top up %(account)s, in %(currency)s")
            % {"account": account, "currency": account.currency},
            "original": account,
            "media": self.media,
            "top_up": form,
        }
        return render_page(self, request, self.top_up_template, context)

    def _log(self, request: HttpRequest, account: Account, entry: LedgerEntry) -> None:
        amount = f"{entry.amount:.3f} {account.currency}"
        self.log_addition(request, entry, f"Topped up {account} by {amount}.")
        self.log_change(request, account, f"Topped up by {amount}.")

    def _confirm(self, request: HttpRequest, account: Account, entry: LedgerEntry) -> None:
        values = {
            "amount": money(entry.amount, account.currency),
            "account": account,
            "balance": money(entry.balance, account.currency),
        }
        if entry.repeated:
            text = gettext("This payment of %(amount)s is already booked. It was not booked again.")
            self.message_user(request, text % values, messages.WARNING)
        else:
            text = gettext("%(amount)s was booked. The balance of %(account)s is %(balance)s.")
            self.message_user(request, text % values, messages.SUCCESS)
