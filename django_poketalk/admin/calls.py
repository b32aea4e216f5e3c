"""The log of calls: facts to read, and a way to end those that go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Q, QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, reverse
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..models import CallRequest
from ..reports.outcomes import Outcome
from ..shared.admin_names import NumbersInNames
from ..shared.admin_pages import page_path
from ..shared.changelist import LongList, SafeLookups
from . import call_actions, call_detail, call_list, columns, filters, place, reports, search
from .changelist import CallChangeList

HOLD_NUMBERS = (
    *("from_number", "to_number", "to_extension", "presented_number"),
    *("response_detail", "veto_reason"),
)

View = Callable[..., HttpResponseBase]

# The pages of calls besides Django's own. Each view is called with the model admin first.
PAGES: tuple[tuple[str, str, View], ...] = (
    ("place/", "place", place.place_view),
    ("reports/", "reports", reports.reports_view),
    ("live/", "live_rows", call_list.live_rows),
    ("<int:pk>/live/", "live", call_detail.live_view),
    ("<int:pk>/hang-up/", "hang_up", call_actions.hang_up_view),
    ("<int:pk>/resolve/", "resolve", call_actions.resolve_view),
    ("<int:pk>/block/", "block", call_actions.block_view),
)


@admin.register(CallRequest)
class CallRequestAdmin(SafeLookups, NumbersInNames, LongList):
    """Calls are read-only: `requesting.request_call` creates them, and events update them."""

    # Not where Django finds it by itself: a project's own admin of calls has a page of its own.
    change_list_template = "poketalk/admin/calls.html"
    change_form_template = "poketalk/admin/call.html"
    actions = (call_list.hang_up, call_list.call_again, call_list.export_csv)
    list_filter = (
        filters.OutcomeFilter,
        filters.DayFilter,
        filters.UserFilter,
        filters.EndingFilter,
        filters.CodeFilter,
    )
    list_per_page = 50
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

    def whole_numbers(self, request: HttpRequest) -> bool | Q:
        return permissions.may_see_numbers(request.user) or Q(user_id=request.user.pk)

    def get_urls(self) -> list[URLPattern]:
        return [
            *(page_path(self, route, partial(view, self), name) for route, name, view in PAGES),
            *super().get_urls(),
        ]

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        return permissions.may_hang_up_any(request.user)

    def has_place_permission(self, request: HttpRequest) -> bool:
        return permissions.may_place(request.user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallRequest]:
        return super().get_queryset(request).select_related("user", "hangup_requested_by")

    def view_on_site(self, obj: CallRequest) -> str:
        """The call's page for its owner."""
        return reverse("poketalk:call", args=[obj.pk])

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return call_detail.page_view(self, request, object_id, extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        return call_detail.mask_history(
            request, super().history_view(request, object_id, extra_context)
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CallChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        may = {
            "may_see_reports": permissions.may_see_reports(request.user),
            "may_place": permissions.may_place(request.user),
        }
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*columns.of(self, request)]

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """Newest first, in whichever words let the database use the index that finds the calls."""
        if "day" in request.GET:
            return ("-created_at", "-id")
        if request.GET.get("outcome") == Outcome.LIVE:
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
