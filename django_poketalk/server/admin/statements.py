"""An account's statement for a period in the admin, as a page or as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_pages import one_or_404, page_path, render_page
from django_poketalk.shared.periods import DAY, midnight

from ..billing.statements import Statement, statement
from ..models import Account, LedgerEntry
from .display import seconds

MAX_ENTRIES = 200  # on the page; the CSV file has all
# The columns of the CSV file, and an entry's value in each.
COLUMNS: tuple[tuple[Any, Callable[[LedgerEntry], Any]], ...] = (
    (_("time"), lambda entry: seconds(entry.created_at)),
    (_("kind"), lambda entry: entry.get_kind_display()),
    (_("leg"), lambda entry: entry.side),
    (_("call"), lambda entry: entry.call.custom if entry.call else ""),
    (_("note"), lambda entry: entry.note),
    (_("created by"), lambda entry: entry.created_by.get_username() if entry.created_by else ""),
    (_("amount"), lambda entry: entry.amount),
    (_("balance after"), lambda entry: entry.balance),
)


class PeriodForm(forms.Form):
    """The first and the last day, in the current time zone."""

    first = forms.DateField(label=_("From"))
    last = forms.DateField(label=_("To"))

    def __init__(self, days: dict[str, str]) -> None:
        super().__init__(days, label_suffix="")
        for field in self.fields.values():
            field.widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and first > last:
            raise forms.ValidationError(_("The first day must not be after the last."))
        if last == date.max or (first and first.year < 1900):
            raise forms.ValidationError(_("There is no statement for these days."))
        return cleaned

    def statement(self, account: Account) -> Statement:
        """The account's statement for these days."""
        return statement(
            account, midnight(self.cleaned_data["first"]), midnight(self.cleaned_data["last"] + DAY)
        )


class StatementPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the statement to the admin of accounts, for users who may see the ledger."""

    statement_template = "admin/poketalk_server/account/statement.html"

    def get_urls(self) -> list[URLPattern]:
        page = page_path(self, "<int:pk>/statement/", self.statement_view, "statement")
        return [page, *super().get_urls()]

    def may_see_ledger(self, request: HttpRequest) -> bool:
        return request.user.has_perm("poketalk_server.view_ledgerentry")

    def statement_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The statement as a page, or as a file with `format=csv`."""
        account: Account = one_or_404(self, request, pk)
        if not self.may_see_ledger(request):
            raise PermissionDenied
        presets = _presets(timezone.localdate())
        first, last, _label = presets[0]
        form = PeriodForm(
            {
                "first": request.GET.get("first") or first.isoformat(),
                "last": request.GET.get("last") or last.isoformat(),
            }
        )
        found = form.statement(account) if form.is_valid() else None
        if found is not None and request.GET.get("format") == "csv":
            return self._file(request, account, form, found)
        context = {
            "title": gettext("Statement of %(account)s") % {"account": account},
            "original": account,
            "media": self.media,
            "form": form,
            "presets": presets,
            "statement": found,
            **(_entries(found.entries) if found else {}),
        }
        return render_page(self, request, self.statement_template, context)

    def _file(
        self, request: HttpRequest, account: Account, form: PeriodForm, found: Statement
    ) -> HttpResponseBase:
        first, last = form.cleaned_data["first"], form.cleaned_data["last"]
        self.log_change(request, account, f"Exported statement as CSV: {first} to {last}.")
        header = [capfirst(str(title)) for title, _value in COLUMNS]
        name = f"statement-{account.pk}-{first}-{last}.csv"
        return csv_export.stream(name, header, _lines(found))


def _entries(entries: QuerySet[LedgerEntry]) -> dict[str, Any]:
    newest = list(entries.select_related("created_by")[: MAX_ENTRIES + 1])
    return {"entries": newest[:MAX_ENTRIES], "is_more": len(newest) > MAX_ENTRIES}


def _lines(found: Statement) -> Iterator[list[Any]]:
    """The rows of the file: closing balance, entries (newest first), opening balance."""
    empty = [""] * (len(COLUMNS) - 2)
    yield [gettext("Closing balance"), *empty, found.closing]
    for batch in csv_export.batches(found.entries.select_related("created_by", "call")):
        for entry in batch:
            yield [value(entry) for _title, value in COLUMNS]
    yield [gettext("Opening balance"), *empty, found.opening]


def _presets(today: date) -> list[tuple[date, date, Any]]:
    this = today.replace(day=1)
    before = (this - timedelta(days=1)).replace(day=1)
    return [
        (this, today, _("This month")),
        (before, this - timedelta(days=1), _("Last month")),
        (today.replace(month=1, day=1), today, _("This year")),
    ]
