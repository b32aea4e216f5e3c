"""The filters of the list of calls with a few choices; those with inputs are in `form_filters`.

Displaying them reads no calls: their choices are fixed, or are few groups and models. Each
condition has an index, or is met by so many calls that a page of them is found quickly.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..calls import redialing, subjects
from ..conf import DEFAULT_SERVICE, aliases
from ..events import vetoes
from ..models import CallRequest, Placement, WrapUp
from ..models.indexes import IS_HANGUP_REQUESTED, IS_OF_ANOTHER_SERVICE, IS_STALE, IS_VETOED
from ..models.states import ANSWERS, OPEN_BY_INDEX
from ..models.wrap_ups import HAS_DISPOSITION
from ..presentation import wrap_up
from ..protocol.codes import CallStatus, ResponseCode
from ..reports import traffic
from ..reports.outcomes import Outcome
from ..shared import changelist
from ..shared.text import whole_number
from .subject_links import subject_url

UNDECIDED = [
    CallStatus.UNKNOWN,
    CallStatus.A_INITIATED,
    CallStatus.A_ANSWERED,
    CallStatus.B_INITIATED,
]
MAX_GROUPS = 100  # in the filter by team
MAX_MEMBERS = 1000  # of a team, whose keys are part of the query
NO_RESULT = "NONE"  # in the address; keys of results are in lower case
NEWEST = 5_000  # calls, among which those without a result are sought

IS_UNSENT = Q(placement__in=redialing.UNSENT)
# Each outcome has the same calls as in reports, except that unknown outcomes here include calls
# that are still open, because somebody may have to resolve them.
OUTCOMES: dict[Outcome, Q] = {
    Outcome.LIVE: OPEN_BY_INDEX,
    Outcome.CONNECTED: Q(status=CallStatus.AB_DISCONNECTED)
    | Q(status=CallStatus.B_ANSWERED) & IS_STALE,
    Outcome.CALLEE: Q(status=CallStatus.B_FAILED),
    Outcome.CALLER: Q(final_status=CallStatus.A_FAILED),
    Outcome.EARLY: Q(final_status=CallStatus.A_DISCONNECTED),
    Outcome.REFUSED: Q(placement=Placement.REJECTED),
    Outcome.UNREACHABLE: Q(placement=Placement.FAILED),
    Outcome.WITHDRAWN: Q(
        placement__in=[Placement.CANCELLED, Placement.EXPIRED, Placement.FORBIDDEN]
    ),
    Outcome.UNKNOWN: (Q(placement=Placement.UNKNOWN) | IS_STALE & ~IS_UNSENT)
    & (Q(status=None) | Q(status__in=UNDECIDED)),
}


class ChoiceFilter(changelist.ChoiceFilter):
    """One of a few conditions, in a menu above the list."""

    template = "poketalk/admin/choice_filter.html"


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


class ServiceFilter(ChoiceFilter):
    """The service that the call was sent to, if there are several."""

    title = _("service")
    parameter_name = "service"
    conditions = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        known = aliases()
        return [(alias, alias) for alias in known] if len(known) > 1 else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        alias = self.value()
        if alias is None:
            return queryset
        found = queryset.filter(service=alias)
        # Names the condition of the index, so that each database uses it.
        return found if alias == DEFAULT_SERVICE else found.filter(IS_OF_ANOTHER_SERVICE)


class ResultFilter(ChoiceFilter):
    """What the caller chose for the call, if the project has such results. Also finds results that
    the setting has no longer, by their key in the address. Calls without a result are only sought
    among the newest: where nearly all have one, finding others would read all calls.
    """

    title = _("result")
    parameter_name = "result"
    conditions = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = [*wrap_up.choices()]
        newest = number_format(NEWEST, force_grouping=True)
        none = gettext("No result (newest %(count)s calls)") % {"count": newest}
        return [*found, (NO_RESULT, none)] if found else found

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        key = self.value()
        if key != NO_RESULT:
            return queryset.filter(wrap_up__disposition=key) if key else queryset
        last = CallRequest.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        has_result = WrapUp.objects.filter(HAS_DISPOSITION, call=OuterRef("pk"))
        return queryset.filter(~Exists(has_result), pk__gt=last - NEWEST)


class TeamFilter(ChoiceFilter):
    """The group that the user who placed the call belongs to."""

    title = _("team")
    parameter_name = "team"
    conditions = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not traffic.have_teams():
            return []
        groups = Group.objects.order_by("name").values_list("pk", "name")[:MAX_GROUPS]
        return [(str(pk), name) for pk, name in groups]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        team = whole_number(value, most_digits=9)
        if team is None or not traffic.have_teams():
            return queryset.none()
        members = get_user_model()._default_manager.filter(groups=team).values_list("pk", flat=True)
        # Their keys, since the database knows how many calls each user has.
        keys = list(members[: MAX_MEMBERS + 1])
        return queryset.filter(user_id__in=keys if len(keys) <= MAX_MEMBERS else members)


class SubjectFilter(ChoiceFilter):
    """The model of the object that the call is about: `crm.contact`. Links from an object's page
    name the object, too: `crm.contact/7`.
    """

    title = _("about")
    parameter_name = "about"
    conditions = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        about = CallRequest.objects.filter(subject_type=OuterRef("pk"))
        found = [
            (f"{each.app_label}.{each.model}", capfirst(each.name))
            for each in ContentType.objects.filter(Exists(about))
        ]
        if not found:
            return []
        one = self._one(request, model_admin)
        return [*one, *sorted(found, key=lambda choice: choice[1]), ("none", _("Nothing"))]

    def _one(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The selected object, if there is one and the user may view it."""
        value = request.GET.get(self.parameter_name, "")
        label, slash, key = value.partition("/")
        subject = subjects.find(label, key) if slash else None
        if subject is None or not subject_url(model_admin.admin_site, request, subject):
            return []
        return [(value, str(subject))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value == "none":
            return queryset.filter(subject_type=None)
        value, slash, key = value.partition("/")
        label, _dot, model = value.partition(".")
        try:
            content_type = ContentType.objects.get_by_natural_key(label, model)
        except ContentType.DoesNotExist:
            return queryset.none()
        found = queryset.filter(subject_type=content_type)
        return found.filter(subject_id=key) if slash else found
