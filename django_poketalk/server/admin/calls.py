"""Calls, legs and event deliveries in the admin: to read, and to hang up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers

from ..models import Call, EventDelivery, LedgerEntry, Leg
from .shown import MaskedNumbers, MaskedNumbersPage, ReadOnly, all_fields


class LegNumber:
    """A leg's number as those see it who may not see it whole."""

    masks: ClassVar[Mapping[str, str]] = {"number": "masked_number"}

    @admin.display(description=_("number"))
    def masked_number(self, leg: Leg) -> str:
        """The number's ends."""
        return numbers.mask(leg.number)


class LegInline(LegNumber, ReadOnly, MaskedNumbers, admin.TabularInline):  # type: ignore[type-arg]
    """The phones that were rung for the call."""

    model = Leg
    fields = readonly_fields = (
        "side",
        "attempt",
        "masked_number",
        "gateway",
        "initiated_at",
        "ringing_at",
        "answered_at",
        "ended_at",
        "hangup_cause",
        "duration",
        "cost",
    )


class EventDeliveryInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """What the customer was told, and what came back."""

    model = EventDelivery


class LedgerEntryInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """What the call was charged."""

    model = LedgerEntry
    fields = ("created_at", "kind", "side", "amount", "balance")


@admin.register(Call)
class CallAdmin(ReadOnly, MaskedNumbersPage):
    """Each admitted call. What a member of staff can do with one is end it."""

    masks: ClassVar[Mapping[str, str]] = {"from_number": "masked_from", "to_number": "masked_to"}
    inlines = (LegInline, EventDeliveryInline, LedgerEntryInline)
    list_display = (
        "id",
        "created_at",
        "account",
        "masked_from",
        "masked_to",
        "state",
        "status",
        "duration",
        "debit",
        "hangup_cause",
    )
    list_filter = ("state", "status")
    list_select_related = ("account",)
    search_fields = ("custom__exact",)
    number_search_fields = ("from_number__exact", "to_number__exact")
    show_full_result_count = False
    fields = readonly_fields = (
        "account",
        "provider",
        "custom",
        "masked_from",
        "masked_to",
        *all_fields(Call, "account", "provider", "custom", "from_number", "to_number"),
    )
    actions = ("hang_up",)

    @admin.display(description=_("from"))
    def masked_from(self, call: Call) -> str:
        """Leg A's number's ends."""
        return numbers.mask(call.from_number)

    @admin.display(description=_("to"))
    def masked_to(self, call: Call) -> str:
        """Leg B's number's ends."""
        return numbers.mask(call.to_number)

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        """Whether this member of staff may end other people's calls."""
        return request.user.has_perm("poketalk_server.hang_up_call")

    @admin.action(description=_("Hang up the selected calls"), permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: QuerySet[Call]) -> None:
        """Have the switch end the selected calls that are live."""
        now = timezone.now()
        ended = [call for call in queryset if call.ask_hang_up(now)]
        for call in ended:
            self.log_change(request, call, _now("Hang-up asked."))
        self.message_user(
            request,
            _now("Calls that will be hung up: %(count)d.") % {"count": len(ended)},
            messages.SUCCESS if ended else messages.WARNING,
        )


@admin.register(Leg)
class LegAdmin(LegNumber, ReadOnly, MaskedNumbersPage):
    """All attempts to ring a phone, by gateway and cause."""

    list_display = (
        "id",
        "initiated_at",
        "call_id",
        "side",
        "attempt",
        "masked_number",
        "gateway",
        "hangup_cause",
        "duration",
        "cost",
    )
    list_filter = ("side",)
    list_select_related = ("gateway",)
    search_fields = ("hangup_cause__exact",)
    number_search_fields = ("number__exact",)
    show_full_result_count = False
    ordering = ("-id",)
    fields = readonly_fields = ("call", "masked_number", *all_fields(Leg, "call", "number"))


@admin.register(EventDelivery)
class EventDeliveryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """All events that were sent, by what came back."""

    list_display = ("id", "sent_at", "call_id", "sequence", "status", "answer", "seconds", "error")
    list_filter = ("status",)
    show_full_result_count = False
    ordering = ("-id",)
