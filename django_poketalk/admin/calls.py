"""The log of calls: facts to read, and a way to end those that go on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import F
from django.forms.widgets import Script
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..models import CallRequest
from ..reports import outcomes
from ..shared.changelist import NoNul
from . import columns, filters, search
from .call_list import CallList
from .call_page import CallPage
from .changelist import CallChangeList
from .place import PlaceCall
from .reports import ReportsPage

HOLD_NUMBERS = ("from_number", "to_number", "response_detail", "veto_reason")


@admin.register(CallRequest)
class CallRequestAdmin(NoNul, PlaceCall, ReportsPage, CallList, CallPage):
    """Calls are made by `requesting.request_call` and told by events: nobody edits one here."""

    # Not where Django finds it by itself: a project's own admin of calls has a page of its own.
    change_list_template = "poketalk/admin/calls.html"
    list_filter = (
        filters.OutcomeFilter,
        filters.DayFilter,
        filters.UserFilter,
        filters.EndingFilter,
        filters.CodeFilter,
    )
    list_select_related = ("user", "hangup_requested_by")
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counting each choice reads all calls
    sortable_by = (columns.when,)  # type: ignore[assignment]  # a column may be a function
    search_fields = ("webcallid",)  # shows the input; `search` says what is looked at
    search_help_text = _(
        "Search by phone number (whole or its first digits), call id or user name."
    )

    class Media:
        css = {"all": ("poketalk/admin.css", "poketalk/admin_calls.css")}
        js = (Script("poketalk/admin_calls.js", type="module"),)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CallRequest | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        live_rows = path(
            "live/",
            self.admin_site.admin_view(self.live_rows),
            name="poketalk_callrequest_live_rows",
        )
        return [live_rows, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CallChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        may = {"may_see_reports": permissions.may_see_reports(request.user)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*columns.of(self, request)]

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """Newest first, in whichever words let the database use the index that finds the calls."""
        if "day" in request.GET:
            return ("-created_at", "-id")
        if request.GET.get("outcome") == outcomes.LIVE:
            # They are few, but PostgreSQL takes them for many, and would look for them one by one
            # from the newest call back: an order that no index has keeps it from that.
            return ((F("id") + 0).desc(),)
        return ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        return queryset.filter(search.condition(search_term, request.user)), False

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        column, *how = lookup.split("__")
        # Whoever may not see numbers may not find them out by filtering, digit by digit.
        if column in HOLD_NUMBERS and not permissions.may_see_numbers(request.user):
            return False
        if {"regex", "iregex"} & set(how):  # which a slip makes the database's error
            return False
        return super().lookup_allowed(lookup, value, request)
