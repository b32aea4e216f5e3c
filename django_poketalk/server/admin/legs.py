"""Call detail records (one for each leg) and event deliveries in the admin, with a CSV export."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from http import HTTPStatus
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.protocol.codes import HTTP_HANG_UP
from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_names import named
from django_poketalk.shared.changelist import LongList, count
from django_poketalk.shared.masked_numbers import MaskedNumbers, masked_record

from ..billing.call_records import TARIFF
from ..database.clock import database_now
from ..models import Call, EventDelivery, Leg
from .causes import HangupCauseColumn, with_words
from .display import (
    NOTHING,
    CallSearch,
    MaskedNumbersPage,
    NamesItsCall,
    ReadOnly,
    all_fields,
    amount,
    may_see_buy_costs,
    may_see_numbers,
    seconds,
)
from .filters import CauseFilter, DeliveryFilter, LegDayFilter
from .number_columns import masked_column

Column = Callable[[Leg], Any]

MOST_CALLS = 1000  # whose legs a search by `custom` finds


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
    **_fields("duration", *TARIFF, "cost"),
    "currency": attrgetter("call.account.currency"),
}
# What the gateway charges us, for users who may see it
BUY_COSTS: dict[str, Column] = {
    **_fields(*(f"buy_{name}" for name in TARIFF), "buy_cost", "margin"),
}


@admin.register(Leg)
class LegAdmin(HangupCauseColumn, ReadOnly, CallSearch, MaskedNumbersPage, NamesItsCall, LongList):
    """Call detail records: all attempts to ring a phone."""

    list_display = (
        "initiated_at",
        "call_key",
        "side_and_attempt",
        "number",
        "gateway",
        "cause_and_status",
        "duration",
        "cost",
        "margin",
    )
    # All gateways, since a filter for those that have legs would read all legs.
    list_filter = ("side", LegDayFilter, CauseFilter, "gateway")
    list_select_related = ("gateway",)
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ("call__custom__exact",)
    ordering = ("-id",)
    fields = readonly_fields = (
        *("call", "number", "cause"),
        *("sip_response", "network_cause"),
        *all_fields(Leg, "call", "number", "hangup_cause", "dialog", "sip_status", "q850"),
        "margin",
    )
    actions = ("export_csv",)
    masked_number = masked_column("number", _("number"))

    def with_custom(self, text: str) -> Q:
        """The legs of the newest calls with this `custom`: by their keys, since a database finds
        nothing by an index of one table or an index of another.
        """
        calls = Call.objects.filter(custom=text).order_by("-pk")
        return Q(call__in=list(calls.values_list("pk", flat=True)[:MOST_CALLS]))

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if lookup.split("__")[0] in BUY_COSTS and not may_see_buy_costs(request):
            return False
        return super().lookup_allowed(lookup, value, request)

    def for_user(self, request: HttpRequest, names: Any, row: Any = None) -> list[Any]:
        """Without buy costs, unless the user may see them."""
        names = super().for_user(request, names, row)
        may_see = may_see_buy_costs(request)
        return [name for name in names if may_see or name not in BUY_COSTS]

    @admin.display(description=_("leg"))
    def side_and_attempt(self, leg: Leg) -> str:
        """The side, with the number of the attempt unless it was the first."""
        return f"{leg.side} {leg.attempt}" if leg.attempt > 1 else leg.side

    @admin.display(description=_("hang-up cause"))
    def cause_and_status(self, leg: Leg) -> str:
        """The cause, with the SIP response that led to it."""
        words = str(self.cause(leg)) if leg.hangup_cause else ""
        return f"{words} ({leg.sip_status})" if leg.sip_status > 299 else words

    @admin.display(description=_("margin"))
    def margin(self, leg: Leg) -> str:
        """The leg's cost less its buy cost, or a dash if its gateway had no buy rate."""
        return amount(leg.margin) or NOTHING

    @admin.action(description=_("Download the selected legs as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Leg]) -> HttpResponseBase:
        """Stream the call detail records as a CSV file."""
        rows = queryset.select_related("call__account", "gateway")
        csv_export.log(request, Leg, f"Exported call detail records as CSV: {count(queryset)}.")
        name = f"cdr-{timezone.localdate(database_now())}.csv"
        columns = CDR | BUY_COSTS if may_see_buy_costs(request) else CDR
        records = _records(rows, columns.values(), may_see_numbers(request))
        return csv_export.stream(name, [*columns], records)


def _records(legs: QuerySet[Leg], columns: Collection[Column], whole: bool) -> Iterator[list[Any]]:
    for batch in csv_export.batches(legs):
        for leg in batch:
            if not whole:
                leg.number = numbers.mask(leg.number)
                leg.call.custom = numbers.mask_in_records(leg.call.custom)
            yield [value(leg) for value in columns]


class ResponseColumns:
    """Adds an endpoint's response, and masks numbers in an error."""

    masks: ClassVar[Mapping[str, str]] = {"error": "masked_error"}
    masked_error = masked_record("error", _("error"))

    @admin.display(description=_("response time (seconds)"))
    def took(self, delivery: EventDelivery) -> str:
        """The response time, to hundredths of a second."""
        return f"{delivery.seconds:.2f}"

    @admin.display(description=_("response"))
    def response(self, delivery: EventDelivery) -> str:
        """The HTTP status with its meaning, or a dash if there was no response."""
        if delivery.answer == HTTP_HANG_UP:
            return gettext("%(code)d, ends the call") % {"code": HTTP_HANG_UP}
        phrases = {status.value: status.phrase for status in HTTPStatus}
        return with_words(delivery.answer or 0, phrases) or NOTHING


@admin.register(EventDelivery)
class EventDeliveryAdmin(ResponseColumns, ReadOnly, MaskedNumbers, LongList):
    """Events that were sent, with the responses."""

    list_display = ("sent_at", "call", "sequence", "status", "response", "took", "error")
    fields = all_fields(EventDelivery)
    list_filter = (DeliveryFilter, "status")
    list_select_related = ()  # `get_queryset` fetches the calls
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering = ("-id",)

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventDelivery]:
        calls = named(Call.objects.all(), may_see_numbers(request))
        return super().get_queryset(request).prefetch_related(Prefetch("call", calls))
