"""An account's statement for a period in the admin, as a page or as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_pages import one_or_404, page_path, render_page
from django_poketalk.shared.changelist import AtLeast, BoundedPaginator, page_number
from django_poketalk.shared.periods import DAY, YEARS, in_words, midnight

from ..billing.statements import Line, Statement, all_lines, lines_of, statement
from ..database.clock import database_now
from ..models import Account, LedgerEntry
from .display import may_see_numbers, seconds

PAGE = 100  # entries on a page
MAX_PRINTED = 5000  # entries on one page to print; the CSV file has all of any period
# The columns of the CSV file behind the time, and a line's value in each.
COLUMNS: tuple[tuple[Any, Callable[[Line], Any]], ...] = (
    (_("entry"), lambda line: line.entry.pk),
    (_("kind"), lambda line: line.entry.get_kind_display()),
    (_("leg"), lambda line: line.entry.side),
    (_("call"), lambda line: line.entry.call.custom if line.entry.call else ""),
    (_("number"), lambda line: line.number),
    (_("destination"), lambda line: line.destination),
    (_("billed seconds"), lambda line: line.seconds),
    (_("note"), lambda line: line.entry.note),
    (_("reverses entry"), lambda line: line.entry.reverses_id),
    (_("created by"), lambda line: _author(line.entry)),
    (_("amount"), lambda line: line.entry.amount),
    (_("balance after"), lambda line: line.entry.balance),
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
        if any(day and day.year not in YEARS for day in (first, last)):
            raise forms.ValidationError(
                _("Enter days of the years %(first)d to %(last)d."),
                params={"first": YEARS[0], "last": YEARS[-1]},
            )
        return cleaned

    def statement(self, account: Account) -> Statement:
        """The account's statement for these days."""
        first, last = self.days
        return statement(account, midnight(first), midnight(last + DAY))

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        return self.cleaned_data["first"], self.cleaned_data["last"]


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
        presets = _presets(timezone.localdate(database_now()))
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
            "zone": timezone.get_current_timezone(),
            "may_see_calls": request.user.has_perm("poketalk_server.view_call"),
        }
        if found is not None:
            first, last = form.days
            context |= {
                "period": in_words(first, last),
                "days": urlencode({"first": first, "last": last}),
                **_page(request, found),
            }
        return render_page(self, request, self.statement_template, context)

    def _file(
        self, request: HttpRequest, account: Account, form: PeriodForm, found: Statement
    ) -> HttpResponseBase:
        first, last = form.days
        self.log_change(request, account, f"Exported statement as CSV: {first} to {last}.")
        titles = [gettext("Time (%(zone)s)") % {"zone": timezone.get_current_timezone()}]
        titles += [capfirst(str(title)) for title, _value in COLUMNS]
        titles.append(gettext("Currency"))
        rows = _rows(found, account.currency, may_see_numbers(request))
        return csv_export.stream(f"statement-{account.pk}-{first}-{last}.csv", titles, rows)


def _page(request: HttpRequest, found: Statement) -> dict[str, Any]:
    """The lines of the page that is asked for, or all of them to print."""
    pages = BoundedPaginator(found.entries, PAGE)
    pages.look_at(page_number(request))
    may_print = PAGE < pages.count <= MAX_PRINTED
    if may_print and "all" in request.GET:
        pages = BoundedPaginator(found.entries, MAX_PRINTED)
        pages.look_at(1)
    page = pages.get_page(page_number(request))
    shown = lines_of(page)
    if may_see_numbers(request):
        written = [(line, numbers.display(line.number)) for line in shown]
    else:
        written = [(line, line.number) for line in map(_masked, shown)]
    return {
        "lines": written,
        "page": page,
        "page_range": pages.get_elided_page_range(page.number) if pages.num_pages > 1 else (),
        "pages": f"{pages.num_pages}+" if isinstance(pages.count, AtLeast) else pages.num_pages,
        "can_show_all": may_print and pages.num_pages > 1,
        "is_whole": pages.num_pages == 1,
    }


def _rows(found: Statement, currency: str, whole: bool) -> Iterator[list[Any]]:
    """The rows of the file: opening balance, entries (oldest first), closing balance."""
    empty = [""] * (len(COLUMNS) - 1)
    yield [gettext("Opening balance"), *empty, found.opening, currency]
    for line in all_lines(found):
        written = line if whole else _masked(line)
        values = [value(written) for _title, value in COLUMNS]
        yield [seconds(line.entry.created_at), *values, currency]
    yield [gettext("Closing balance"), *empty, found.closing, currency]


def _masked(line: Line) -> Line:
    """The line, with the numbers in it masked."""
    line.entry.note = numbers.mask_in_records(line.entry.note)
    if line.entry.call is not None:
        line.entry.call.custom = numbers.mask_in_records(line.entry.call.custom)
    return replace(line, number=numbers.mask(line.number))


def _author(entry: LedgerEntry) -> str:
    return entry.created_by.get_username() if entry.created_by else ""


def _presets(today: date) -> list[tuple[date, date, Any]]:
    this = today.replace(day=1)
    before = (this - timedelta(days=1)).replace(day=1)
    return [
        (this, today, _("This month")),
        (before, this - timedelta(days=1), _("Last month")),
        (today.replace(month=1, day=1), today, _("This year")),
    ]
