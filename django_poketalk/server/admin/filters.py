"""The filters of the service's lists. Their choices are fixed and need no query."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.shared.changelist import ChoiceFilter
from django_poketalk.shared.periods import midnight

from ..billing import ledger
from ..database.clock import database_now
from ..models import Call, deliveries
from . import causes

DAYS = {"today": 0, "yesterday": 1, "7": 6, "30": 29}


class LiveFilter(ChoiceFilter):
    """Whether the call is live."""

    title = _("live")
    parameter_name = "live"
    conditions = {
        "now": (_("In progress"), Q(state__in=Call.LIVE)),
        "talking": (_("Connected"), Q(state=Call.State.ACTIVE, status=CallStatus.B_ANSWERED)),
        "queued": (_("Waiting for a switch"), Q(state=Call.State.QUEUED)),
        "over": (_("Ended"), Q(state__in=Call.OVER)),
        "unanswered": (_("Final event not answered"), Q(final_event_due_at__isnull=False)),
    }


class CauseFilter(ChoiceFilter):
    """The hang-up cause."""

    title = _("hang-up cause")
    parameter_name = "cause"
    conditions = {
        cause.value: (words, Q(hangup_cause=cause.value)) for cause, words in causes.WORDS.items()
    }


class ValidityFilter(admin.SimpleListFilter):
    """Rates that apply today, later, or no longer."""

    title = _("validity")
    parameter_name = "validity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("current", _("Current")), ("future", _("Future")), ("past", _("Past"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = ledger.today()
        match self.value():
            case None:
                return queryset
            case "current":
                return queryset.valid_on(today)
            case "future":
                return queryset.filter(valid_from__gt=today)
            case "past":
                return queryset.past_on(today)
        return queryset.none()


class DeliveryFilter(ChoiceFilter):
    """The endpoint's response to an event."""

    title = _("response")
    parameter_name = "response"
    conditions = {
        "412": (_("Responded with 412"), deliveries.IS_HANG_UP),
        "failed": (_("No response"), deliveries.IS_UNANSWERED),
        "refused": (_("Responded with an error"), deliveries.IS_REFUSED),
        "slow": (_("Slow: 2 s or more"), deliveries.IS_SLOW),
    }


class DayFilter(admin.SimpleListFilter):
    """The last days up to today, in the current time zone."""

    title = _("day")
    parameter_name = "day"
    column: ClassVar[str] = "created_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("today", _("Today")),
            ("yesterday", _("Yesterday")),
            ("7", _("Past 7 days")),
            ("30", _("Past 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value not in DAYS:
            return queryset.none()
        today = midnight(timezone.localdate(database_now()))
        first = today - timedelta(days=DAYS[value])
        found = queryset.filter(**{f"{self.column}__gte": first})
        return found.filter(**{f"{self.column}__lt": today}) if value == "yesterday" else found


class LegDayFilter(DayFilter):
    """The day on which a leg was dialed."""

    column = "initiated_at"
