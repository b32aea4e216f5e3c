"""The page that reverses a ledger entry: it shows what will be booked, and asks for the reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol.numbers import mask_in_records
from django_poketalk.shared.admin_pages import admin_url, one_or_404, page_path, render_page

from ..billing import ledger
from ..models import Account, LedgerEntry
from .display import may_see_numbers
from .money_columns import money


class ReasonForm(forms.Form):
    """Why the entry is reversed."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("Such as “booked for the wrong account”. It appears on the statement."),
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="")


class ReversePage(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the page to the admin of ledger entries, for users who may reverse them."""

    reverse_template = "admin/poketalk_server/ledgerentry/reverse.html"

    def get_urls(self) -> list[URLPattern]:
        reverse = page_path(self, "<int:pk>/reverse/", self.reverse_view, "reverse")
        return [reverse, *super().get_urls()]

    def may_reverse(self, request: HttpRequest) -> bool:
        return request.user.has_perm("poketalk_server.reverse_ledgerentry")

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kw: Any) -> Any:
        """The entry's page, with a button for an entry that can be reversed."""
        entry: LedgerEntry | None = context.get("original")
        context["may_reverse"] = (
            entry is not None
            and entry.kind != LedgerEntry.Kind.REVERSAL
            and entry.reversed_by is None
            and self.may_reverse(request)
        )
        return super().render_change_form(request, context, *args, **kw)

    def reverse_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the reason, or book the reversal and redirect to its page."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        entry: LedgerEntry = one_or_404(self, request, pk)
        if not self.may_reverse(request):
            raise PermissionDenied
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_valid() and (made := self._reverse(request, entry, form)):
            return redirect(admin_url(self.admin_site, "poketalk_server_ledgerentry_change", made))
        account: Account = entry.account
        context = {
            "title": gettext("Reverse entry %(pk)d") % {"pk": entry.pk},
            "original": entry,
            "media": self.media,
            "entry": entry,
            "note": entry.note if may_see_numbers(request) else mask_in_records(entry.note),
            "account": account,
            "booked": -entry.amount,
            "after": account.balance - entry.amount,
            "refusal": _refusal(entry, account),
            "form": form,
        }
        return render_page(self, request, self.reverse_template, context)

    def _reverse(self, request: HttpRequest, entry: LedgerEntry, form: ReasonForm) -> int | None:
        """Book it and return its primary key. None if the ledger refuses; the page says why."""
        try:
            with transaction.atomic():
                made = ledger.reverse(entry, form.cleaned_data["reason"], request.user)
                self.log_addition(request, made, f"Reversed entry {entry.pk}.")
                self.log_change(request, entry, f"Reversed by entry {made.pk}.")
        except ValueError:
            entry.account.refresh_from_db()
            return None
        text = gettext("%(amount)s was booked. The balance of %(account)s is %(balance)s.")
        values = {
            "amount": money(made.amount, made.account.currency),
            "account": made.account,
            "balance": money(made.balance, made.account.currency),
        }
        self.message_user(request, text % values)
        return made.pk


def _refusal(entry: LedgerEntry, account: Account) -> str:
    """Why the entry cannot be reversed now, or "" if it can."""
    try:
        ledger.check_reversible(entry, account)
    except ledger.InsufficientFunds:
        return gettext(
            "This entry cannot be reversed now: of its %(amount)s, the account has only %(funds)s"
            " left to spend. Its balance may not fall below its credit limit, and money that is"
            " held for live calls stays."
        ) % {
            "amount": money(entry.amount, account.currency),
            "funds": money(account.funds, account.currency),
        }
    except ValueError as error:
        return str(error)
    return ""
