"""Calls in the admin: registers their list, and their pages besides Django's own."""

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
from ..conf import settings
from ..models import CallRequest
from ..reports.outcomes import Outcome
from ..shared.admin_names import NumbersInNames
from ..shared.admin_pages import page_path
from ..shared.changelist import LongList
from ..shared.masked_numbers import NoNumberLookups
from . import (
    board,
    call_actions,
    call_detail,
    call_list,
    columns,
    deletion,
    filters,
    form_filters,
    place,
    reports,
    search,
    subject_search,
    wrap_up,
)
from .changelist import CallChangeList
from .object_permissions import ObjectPermissions

View = Callable[..., HttpResponseBase]

# The pages of calls besides Django's own. Each view is called with the model admin first.
PAGES: tuple[tuple[str, str, View], ...] = (
    ("place/", "place", place.place_view),
    ("reports/", "reports", reports.reports_view),
    ("live/", "live_rows", call_list.live_rows),
    ("board/", "board", board.board_view),
    ("board/rows/", "board_rows", board.rows_view),
    ("<int:pk>/live/", "live", call_detail.live_view),
    ("<int:pk>/again/", "again", call_actions.again_view),
    ("<int:pk>/hang-up/", "hang_up", call_actions.hang_up_view),
    ("<int:pk>/resolve/", "resolve", call_actions.resolve_view),
    ("<int:pk>/wrap-up/", "wrap_up", wrap_up.wrap_up_view),
    ("<int:pk>/block/", "block", call_actions.block_view),
    ("<int:pk>/unblock/", "unblock", call_actions.unblock_view),
)


@admin.register(CallRequest)
class CallRequestAdmin(ObjectPermissions, NoNumberLookups, NumbersInNames, LongList):
    """Calls are read-only: `requesting.request_call` creates them, and events update them."""

    # Not where Django finds it by itself: a project's own admin of calls has a page of its own.
    change_list_template = "poketalk/admin/calls.html"
    change_form_template = "poketalk/admin/call.html"
    delete_confirmation_template = "poketalk/admin/delete_call.html"
    delete_selected_confirmation_template = "poketalk/admin/delete_calls.html"
    actions = (call_list.hang_up, call_list.call_again, call_list.export_csv)
    list_filter = (
        filters.OutcomeFilter,
        filters.ResultFilter,
        form_filters.DayFilter,
        form_filters.UserFilter,
        filters.TeamFilter,
        filters.SubjectFilter,
        form_filters.DurationFilter,
        form_filters.CostFilter,
        filters.ServiceFilter,
        filters.EndingFilter,
        filters.CodeFilter,
    )
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER  # counting each choice reads all calls
    # A column may be a function.
    sortable_by = (columns.when, columns.length, columns.cost)  # type: ignore[assignment]
    search_fields = ("webcallid",)  # only displays the input; `search` has the condition
    search_help_text = _(
        "Search by phone number (whole or its first digits), call id, user name or what the call is"
        " about."
    )

    class Media:
        css = {
            "all": ("poketalk/admin.css", "poketalk/admin_filters.css", "poketalk/admin_calls.css")
        }
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
        calls = super().get_queryset(request).select_related("user", "hangup_requested_by")
        if not settings.visible_calls:  # Django's own permissions guard these pages
            return calls
        return calls.filter(pk__in=permissions.visible_calls(request.user).values("pk"))

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
            "may_dial": permissions.may_dial(request.user),
        }
        response = super().changelist_view(request, {**may, **(extra_context or {})})
        context = getattr(response, "context_data", None) or {}
        if "deletable_objects" in context:  # the confirmation of "Delete selected"
            context.update(deletion.lost(context["queryset"]))
        return response

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Deletion is last, so that nobody selects it by mistake. Django before 6.1 has no location
        to pass on.
        """
        further = () if action_location is None else (action_location,)
        actions: dict[str, Any] = super().get_actions(request, *further)
        if "delete_selected" in actions:
            actions["delete_selected"] = actions.pop("delete_selected")
        return actions

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        call: Any = self.get_object(request, object_id)
        calls = self.model._default_manager.filter(pk=call.pk if call else None)
        return super().delete_view(
            request, object_id, {**deletion.lost(calls), **(extra_context or {})}
        )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*columns.of(self, request)]

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """Newest first, by columns that let the database use the index that finds the calls."""
        if not {"day", "day_from", "day_to"}.isdisjoint(request.GET):
            return ("-created_at", "-id")
        if request.GET.get("outcome") == Outcome.LIVE:
            # They are few, but PostgreSQL estimates that they are many, and would then search all
            # calls from the newest on. It does not if no index has the order.
            return ((F("id") + 0).desc(),)
        return ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        about, has_more = search.NOTHING, False
        if words := " ".join(search.words(search_term)):
            about, has_more = subject_search.calls_about(words, self.admin_site, request)
        if has_more:
            request.poketalk_more_subjects = subject_search.MOST  # type: ignore[attr-defined]
        return queryset.filter(search.condition(search_term, request.user, about)), False

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if {"regex", "iregex"} & set(lookup.split("__")):  # a mistake would be a database error
            return False
        return super().lookup_allowed(lookup, value, request)
