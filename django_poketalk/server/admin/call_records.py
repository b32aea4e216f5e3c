"""Call records in the admin: an account's for a period, or those of selected calls, as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_pages import one_or_404, page_path, render_page
from django_poketalk.shared.changelist import count
from django_poketalk.shared.periods import DAY, midnight

from ..billing import call_records
from ..database.clock import database_now
from ..models import Account, Call
from .display import may_see_numbers
from .statements import PeriodForm


class CallRecordsPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the download of call records to the admin of accounts, for users who may see calls."""

    call_records_template = "admin/poketalk_server/account/call_records.html"

    def get_urls(self) -> list[URLPattern]:
        page = page_path(self, "<int:pk>/call-records/", self.call_records_view, "call_records")
        return [page, *super().get_urls()]

    def may_see_calls(self, request: HttpRequest) -> bool:
        return request.user.has_perm("poketalk_server.view_call")

    def call_records_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The form for the period, at first the last month, or the file with `format=csv`."""
        account: Account = one_or_404(self, request, pk)
        if not self.may_see_calls(request):
            raise PermissionDenied
        last = timezone.localdate(database_now()).replace(day=1) - timedelta(days=1)
        form = PeriodForm(
            {
                "first": request.GET.get("first") or last.replace(day=1).isoformat(),
                "last": request.GET.get("last") or last.isoformat(),
            }
        )
        if form.is_valid() and request.GET.get("format") == "csv":
            first, last = form.cleaned_data["first"], form.cleaned_data["last"]
            self.log_change(request, account, f"Exported call records as CSV: {first} to {last}.")
            calls = call_records.charged([account], midnight(first), midnight(last + DAY))
            return _file(request, f"call-records-{account.pk}-{first}-{last}.csv", calls)
        context = {
            "title": gettext("Call records of %(account)s") % {"account": account},
            "original": account,
            "media": self.media,
            "form": form,
            "time_zone": timezone.get_current_timezone_name(),
        }
        return render_page(self, request, self.call_records_template, context)


class ExportsCallRecords(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds an action that downloads the records of calls."""

    @admin.action(description=_("Download the selected calls as CSV"), permissions=["view"])
    def export_call_records(
        self, request: HttpRequest, queryset: QuerySet[Call]
    ) -> HttpResponseBase:
        """Stream the calls' records, newest first."""
        csv_export.log(request, Call, f"Exported call records as CSV: {count(queryset)}.")
        batches = csv_export.batches(call_records.with_legs(queryset))
        name = f"call-records-{timezone.localdate(database_now())}.csv"
        return _file(request, name, (call for batch in batches for call in batch))


def _file(request: HttpRequest, name: str, calls: Iterable[Call]) -> HttpResponseBase:
    rows = call_records.rows(calls, whole_numbers=may_see_numbers(request))
    return csv_export.stream(name, [*call_records.COLUMNS], rows)
