"""Calls in the admin: view them, follow live calls, and hang them up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import eventurl, numbers
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.shared.admin_names import named
from django_poketalk.shared.admin_pages import admin_url, one_or_404, page_path
from django_poketalk.shared.changelist import LongList
from django_poketalk.shared.masked_numbers import MaskedNumbers, masked_record
from django_poketalk.shared.number_names import left_to_right

from ..database.clock import DatabaseNow
from ..models import Call, EventDelivery, LedgerEntry, Leg
from . import board
from .call_records import ExportsCallRecords
from .causes import HangupCauseColumn
from .display import (
    CallSearch,
    MaskedNumbersPage,
    ReadOnly,
    all_fields,
    may_see_numbers,
)
from .filters import CauseFilter, DayFilter, LiveFilter
from .legs import ResponseColumns
from .money_columns import money_column
from .number_columns import GroupedNumbers, grouped_column, masked_column

# Fields that the call's page displays first or in another form
DISPLAYED_SEPARATELY = (
    *("account", "provider", "custom", "from_number", "to_number"),
    *("to_extension", "presented_number", "eventurl", "hangup_cause", "status"),
)
# Facts of the service itself, which explain a call to its developers
TECHNICAL = ("state", "turn", "switch", "fence", "lease_until", "seen_at", "final_event_due_at")
MAX_EVENTS = 200  # on a call's page


class LegInline(HangupCauseColumn, ReadOnly, GroupedNumbers, admin.TabularInline):  # type: ignore[type-arg]
    """The attempts to ring the call's phones."""

    model = Leg
    fields = readonly_fields = (
        "side",
        "attempt",
        "number",
        "gateway",
        "initiated_at",
        "ringing_at",
        "answered_at",
        "ended_at",
        "cause",
        "sip_response",
        "network_cause",
        "duration",
        "cost",
    )
    masked_number = masked_column("number", _("number"))

    def get_queryset(self, request: HttpRequest) -> Any:
        legs = super().get_queryset(request).select_related("gateway")
        return named(legs, may_see_numbers(request))


class EventDeliveryInline(ResponseColumns, ReadOnly, MaskedNumbers, admin.TabularInline):  # type: ignore[type-arg]
    """The latest events sent to the customer, and the responses."""

    model = EventDelivery
    verbose_name_plural = _("latest event deliveries")
    fields = readonly_fields = (
        *("sequence", "status", "duration", "cost", "sent_at", "took", "response", "error"),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """The newest events only, because a long call has one a minute."""
        deliveries = super().get_queryset(request)
        call = request.resolver_match and request.resolver_match.kwargs.get("object_id")
        newest = deliveries.filter(call=call).order_by("-sequence").values("pk")[:MAX_EVENTS]
        return deliveries.filter(pk__in=[row["pk"] for row in newest])


class LedgerEntryInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """The call's charges."""

    model = LedgerEntry
    fields = readonly_fields = ("created_at", "kind", "side", "money_amount", "money_balance")
    money_amount = money_column("amount", _("amount"))
    money_balance = money_column("balance", _("balance after"))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account")


@admin.register(Call)
class CallAdmin(
    ExportsCallRecords, HangupCauseColumn, ReadOnly, CallSearch, MaskedNumbersPage, LongList
):
    """Admitted calls. They are read-only; live ones can be hung up."""

    change_list_template = "admin/poketalk_server/calls.html"
    change_form_template = "admin/poketalk_server/call.html"
    masks: ClassVar[Mapping[str, str]] = {
        "custom": "masked_custom",
        "from_number": "masked_from",
        "to_number": "masked_to",
        "to_extension": "masked_extension",
        "presented_number": "masked_presented",
    }
    grouped: ClassVar[Mapping[str, str]] = {
        "from_number": "grouped_from",
        "to_number": "grouped_to",
        "presented_number": "grouped_presented",
    }
    inlines = (LegInline, EventDeliveryInline, LedgerEntryInline)
    list_display = (
        "created_at",
        "account",
        "from_number",
        "to_number",
        "state_and_cause",
        "duration",
        "cost",
        "switch",
    )
    list_filter = (LiveFilter, DayFilter, CauseFilter)
    list_select_related = ("account",)
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER  # counting for each choice reads all calls
    sortable_by = ()
    search_fields = ("custom__exact",)
    searched_numbers = ("from_number", "to_number")
    fields = readonly_fields = (
        "current_state",
        "account",
        "provider",
        "custom",
        "from_number",
        "to_number",
        "to_extension",
        "presented_number",
        "event_host",
        "cause",
        *all_fields(Call, *DISPLAYED_SEPARATELY),
    )
    actions = ("export_call_records", "hang_up")
    masked_custom = masked_record("custom", _("custom"))
    masked_from = masked_column("from_number", _("from"))
    masked_to = masked_column("to_number", _("to"))
    masked_presented = masked_column("presented_number", _("presented number"), empty_value="—")
    grouped_from = grouped_column("from_number", _("from"))
    grouped_to = grouped_column("to_number", _("to"))
    grouped_presented = grouped_column("presented_number", _("presented number"), empty_value="—")

    class Media:
        js = (Script("poketalk_server/live.js", type="module"),)

    def get_urls(self) -> list[URLPattern]:
        pages = (
            page_path(self, "<int:pk>/hang-up/", self.hang_up_view, "hang_up"),
            page_path(self, "board/", partial(board.board_view, self), "board"),
            page_path(self, "board/rows/", partial(board.rows_view, self), "board_rows"),
        )
        return [*pages, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Call | None = None) -> Any:
        """The facts for people, and those of the service itself."""
        fields = self.get_fields(request, obj)
        facts = [field for field in fields if field not in TECHNICAL]
        technical = {"fields": TECHNICAL, "classes": ("collapse",)}
        fieldsets = [(None, {"fields": facts}), (_("Technical details"), technical)]
        return self.for_user_only(request, fieldsets, obj)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kw: Any) -> Any:
        """The call's page, with a button to hang up a live call."""
        call: Call = context["original"]
        context["may_hang_up"] = (
            call.state in Call.LIVE
            and call.hangup_requested_at is None
            and self.has_hang_up_permission(request)
        )
        context["caller_call_url"] = self._caller_call_url(request, call)
        return super().render_change_form(request, context, *args, **kw)

    def _caller_call_url(self, request: HttpRequest, call: Call) -> str:
        """The URL that finds the call on the caller's side, if that is part of this project and the
        user may view its calls, else "".
        """
        if not call.custom or not request.user.has_perm("poketalk.view_callrequest"):
            return ""
        if not may_see_numbers(request) and numbers.mask_in_records(call.custom) != call.custom:
            return ""
        found = admin_url(self.admin_site, "poketalk_callrequest_changelist")
        return f"{found}?{urlencode({'q': call.custom})}" if found else ""

    def hang_up_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Request to hang up one call, and return to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        one_or_404(self, request, pk)
        if not self.has_hang_up_permission(request):
            raise PermissionDenied
        self.hang_up(request, Call.objects.filter(pk=pk))
        if request.POST.get("to") == "board":
            return redirect(admin_url(self.admin_site, "poketalk_server_call_board"))
        return redirect(admin_url(self.admin_site, "poketalk_server_call_change", pk))

    @admin.display(description=_("event URL"), empty_value="—")
    def event_host(self, call: Call) -> str:
        """The host of the EventURL. The rest may contain a secret of the customer."""
        host = eventurl.without_path(call.eventurl)
        return host and left_to_right(host)

    @admin.display(description=_("current state"))
    def current_state(self, call: Call) -> str:
        """The call's status or, before it has one, the service's own state."""
        is_live = call.state in Call.LIVE
        words = call.get_status_display() if call.status is not None else call.get_state_display()
        kind = "live" if is_live else "good" if call.status == CallStatus.AB_DISCONNECTED else "bad"
        return format_html('<span class="poketalk-state" data-state="{}">{}</span>', kind, words)

    @admin.display(description=_("current state"))
    def state_and_cause(self, call: Call) -> str:
        """The state, with the hang-up cause in words behind it."""
        words = self.cause(call) if call.hangup_cause else ""
        return format_html("{} {}", self.current_state(call), words)

    @admin.display(description=_("extension"), empty_value="—")
    def masked_extension(self, call: Call) -> str:
        """The masked extension behind the number of leg B."""
        return "•" * len(call.to_extension)

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        """Whether the user may hang up calls."""
        return request.user.has_perm("poketalk_server.hang_up_call")

    @admin.action(description=_("Hang up the selected calls"), permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: QuerySet[Call]) -> None:
        """Request to hang up those of the selected calls that are live."""
        live = queryset.filter(state__in=Call.LIVE)
        requested = [call for call in live if call.request_hang_up(DatabaseNow())]
        for call in requested:
            self.log_change(request, call, "Requested to hang up.")
        self.message_user(
            request,
            gettext("Calls that will be hung up: %(count)d.") % {"count": len(requested)},
            messages.SUCCESS if requested else messages.WARNING,
        )
