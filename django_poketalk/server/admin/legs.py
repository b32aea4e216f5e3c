"""Call detail records (one for each leg) and event deliveries in the admin, with a CSV export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_names import named
from django_poketalk.shared.changelist import LongList, count

from ..models import Call, EventDelivery, Leg
from .causes import HangupCauseColumn
from .display import (
    CallSearch,
    MaskedNumbersPage,
    NamesItsCall,
    ReadOnly,
    all_fields,
    amount,
    masked_column,
    may_see_numbers,
    seconds,
    time_column,
)
from .filters import CauseFilter, DeliveryFilter, LegDayFilter

Column = Callable[[Leg], Any]


def _fields(*names: str) -> dict[str, Column]:
    return {name: attrgetter(name) for name in names}


# The columns of the CSV file, and a leg's value in each.
CDR: dict[str, Column] = {
    "leg id": attrgetter("pk"),
    "call id": attrgetter("call_id"),
    "custom": attrgetter("call.custom"),
    "account": attrgetter("call.account.name"),
    **_fields("side", "attempt"),
    "gateway": lambda leg: leg.gateway.name if leg.gateway else "",
    **_fields("number"),
    "initiated": lambda leg: seconds(leg.initiated_at),
    "ringing": lambda leg: seconds(leg.ringing_at),
    "answered": lambda leg: seconds(leg.answered_at),
    "ended": lambda leg: seconds(leg.ended_at),
    **_fields("hangup_cause"),
    "sip_status": lambda leg: leg.sip_status or None,
    "q850": lambda leg: leg.q850 or None,
    **_fields("duration", "price_per_minute", "connect_fee"),
    **_fields("initial_increment", "subsequent_increment", "cost"),
    "currency": attrgetter("call.account.currency"),
    **_fields("buy_price_per_minute", "buy_connect_fee"),
    **_fields("buy_initial_increment", "buy_subsequent_increment", "buy_cost", "margin"),
}


@admin.register(Leg)
class LegAdmin(HangupCauseColumn, ReadOnly, CallSearch, MaskedNumbersPage, NamesItsCall, LongList):
    """Call detail records: all attempts to ring a phone."""

    list_display = (
        "initiated",
        "which_call",
        "side",
        "attempt",
        "number",
        "gateway",
        "cause",
        "sip_status",
        "duration",
        "cost",
        "margin",
    )
    list_filter = ("side", LegDayFilter, CauseFilter, ("gateway", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("gateway",)
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ("call__custom__exact",)
    ordering = ("-id",)
    fields = readonly_fields = (
        *("call", "number", "cause"),
        *all_fields(Leg, "call", "number", "hangup_cause"),
        "margin",
    )
    actions = ("export_csv",)
    initiated = time_column("initiated_at", _("initiated"))
    masked_number = masked_column("number", _("number"))

    @admin.display(description=_("call"))
    def which_call(self, leg: Leg) -> str:
        """The primary key of the call, which needs no query."""
        return str(leg.call_id)

    @admin.display(description=_("margin"), empty_value="—")
    def margin(self, leg: Leg) -> str | None:
        """The leg's cost less its buy cost, or a dash if its gateway had no buy rate."""
        return amount(leg.margin)

    @admin.action(description=_("Download the selected legs as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Leg]) -> HttpResponseBase:
        """Stream the call detail records as a CSV file."""
        rows = queryset.select_related("call__account", "gateway")
        csv_export.log(request, Leg, f"Exported call detail records as CSV: {count(queryset)}.")
        name = f"cdr-{timezone.localdate()}.csv"
        return csv_export.stream(name, [*CDR], _records(rows, may_see_numbers(request)))


def _records(legs: QuerySet[Leg], whole: bool) -> Iterator[list[Any]]:
    for batch in csv_export.batches(legs):
        for leg in batch:
            if not whole:
                leg.number = numbers.mask(leg.number)
            yield [value(leg) for value in CDR.values()]


class ResponseTimeColumn:
    """Adds an endpoint's response time."""

    @admin.display(description=_("response time (seconds)"))
    def took(self, delivery: EventDelivery) -> str:
        """The response time, to hundredths of a second."""
        return f"{delivery.seconds:.2f}"


@admin.register(EventDelivery)
class EventDeliveryAdmin(ResponseTimeColumn, ReadOnly, LongList):
    """Events that were sent, with the responses."""

    list_display = ("sent", "call", "sequence", "status", "answer", "took", "error")
    list_filter = (DeliveryFilter, "status")
    list_select_related = ()  # `get_queryset` fetches the calls
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering = ("-id",)
    sent = time_column("sent_at", _("sent"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventDelivery]:
        calls = named(Call.objects.all(), may_see_numbers(request))
        return super().get_queryset(request).prefetch_related(Prefetch("call", calls))
