"""The filters of the list of calls.

Their choices are fixed, so displaying them requires no query. Each condition has an index, or is
met by so many calls that a page of them is found quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..calls import redialing
from ..events import vetoes
from ..models import Placement
from ..models.calls import IS_OPEN
from ..models.indexes import IS_HANGUP_REQUESTED, IS_STALE, IS_VETOED
from ..models.states import ANSWERS
from ..protocol.codes import CallStatus, ResponseCode
from ..reports.outcomes import Outcome
from ..shared.changelist import ChoiceFilter
from ..shared.periods import DAY, midnight
from . import periods
from .periods import Period

Words = str | Promise

UNDECIDED = [
    CallStatus.UNKNOWN,
    CallStatus.A_INITIATED,
    CallStatus.A_ANSWERED,
    CallStatus.B_INITIATED,
]
SPANS = {"7": timedelta(days=6), "30": timedelta(days=29)}  # the days before today

IS_UNSENT = Q(placement__in=redialing.UNSENT)
# Each outcome has the same calls as in reports, except that unknown outcomes here include calls
# that are still open, because somebody may have to resolve them.
OUTCOMES: dict[Outcome, Q] = {
    Outcome.LIVE: IS_OPEN,
    Outcome.CONNECTED: Q(status=CallStatus.AB_DISCONNECTED)
    | Q(status=CallStatus.B_ANSWERED) & IS_STALE,
    Outcome.CALLEE: Q(status=CallStatus.B_FAILED),
    Outcome.CALLER: Q(status=CallStatus.A_FAILED),
    Outcome.EARLY: Q(status=CallStatus.A_DISCONNECTED),
    Outcome.REFUSED: Q(placement=Placement.REJECTED),
    Outcome.UNREACHABLE: Q(placement=Placement.FAILED),
    Outcome.WITHDRAWN: Q(placement__in=[Placement.CANCELLED, Placement.EXPIRED]),
    Outcome.UNKNOWN: (Q(placement=Placement.UNKNOWN) | IS_STALE & ~IS_UNSENT)
    & (Q(status=None) | Q(status__in=UNDECIDED)),
}


class OutcomeFilter(ChoiceFilter):
    """The outcome of the call, or of its placement if there is no status."""

    title = _("outcome")
    parameter_name = "outcome"
    conditions = {outcome: (outcome.label, condition) for outcome, condition in OUTCOMES.items()}


class EndingFilter(ChoiceFilter):
    """Who ended the call, or why."""

    title = _("ended by")
    parameter_name = "ended_by"
    conditions = {
        "phones": (
            _("A phone"),
            Q(ended_at__isnull=False, veto_reason="", hangup_requested_at=None),
        ),
        "person": (_("Hang-up requested"), IS_HANGUP_REQUESTED),
        "us": (_("This site"), IS_VETOED),
        "duration": (_("Maximum duration"), IS_VETOED & Q(veto_reason=vetoes.MAX_DURATION)),
        "cost": (_("Maximum cost"), IS_VETOED & Q(veto_reason=vetoes.MAX_COST)),
        "rule": (
            _("A veto rule"),
            IS_VETOED & ~Q(veto_reason__in=[vetoes.HANG_UP, vetoes.MAX_DURATION, vetoes.MAX_COST]),
        ),
        "stale": (_("Timed out"), IS_STALE),
    }


class CodeFilter(ChoiceFilter):
    """The service's response code."""

    title = _("response code")
    parameter_name = "code"
    conditions = {
        code.value: (
            ANSWERS[code.value],
            Q(response_code=code.value)
            if code is ResponseCode.OK
            else Q(response_code=code.value, placement=Placement.REJECTED),
        )
        for code in ResponseCode
    }


class FormFilter(admin.SimpleListFilter):
    """A filter with links for common values, and a GET form for all others."""

    template = "poketalk/admin/form_filter.html"
    kind = "text"  # of the input
    label: Words
    input_value = ""

    @property
    def others(self) -> Iterator[tuple[str, str]]:
        """The other parameters of the URL, which the form keeps, except for the page number."""
        for name, values in self.request.GET.lists():
            if name not in (self.parameter_name, "p", "e"):
                yield from ((name, value) for value in values)


class DayFilter(FormFilter):
    """A day in the current time zone, the past days, or another of the `periods`: a month, a year,
    or a range of days, as in the links of a report. The list is then ordered by time.
    """

    title = _("day")
    parameter_name = "day"
    kind = "date"
    label = _("On")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._today = timezone.localdate()
        self.period = periods.read(self.value() or "", self._today)
        if self.period and self.period.is_day:
            self.input_value = self.period.address

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [
            ("today", _("Today")),
            ("yesterday", _("Yesterday")),
            ("7", _("Past 7 days")),
            ("30", _("Past 30 days")),
        ]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield from super().choices(changelist)
        if self.period is None:
            return
        if not self.period.is_day:
            yield {
                "selected": True,
                "query_string": changelist.get_query_string(),
                "display": self.period.title,
            }
            return
        # Links to the days before and after, since a calendar would have to read all calls.
        day = self.period.first
        for beside, arrow in ((Period.day(day - DAY), "←"), (Period.day(day + DAY), "→")):
            if beside.first <= self._today:
                yield {
                    "selected": False,
                    "query_string": changelist.get_query_string({"day": beside.address}),
                    "display": f"{arrow} {beside.title}",
                }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value in SPANS:
            return queryset.filter(created_at__gte=midnight(self._today - SPANS[value]))
        if self.period is None:
            return queryset.none()
        return queryset.filter(created_at__gte=self.period.begins, created_at__lt=self.period.ends)


class UserFilter(FormFilter):
    """The user who placed the call: a link for oneself, and an input for others. Lists no users."""

    title = _("user")
    parameter_name = "user"
    label = _("By user name")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.input_value = self.value() or ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [(request.user.get_username(), _("Me"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        name = self.value()
        if name is None:
            return queryset
        if name == request.user.get_username():
            return queryset.filter(user_id=request.user.pk)
        users = get_user_model()._default_manager
        # A separate query for the user: with a join, the database cannot estimate the rows.
        found = users.filter(**{get_user_model().USERNAME_FIELD: name}).values_list("pk", flat=True)
        pk = found.first()
        return queryset.none() if pk is None else queryset.filter(user_id=pk)
