"""The service's live board: all live calls, with their legs and gateways. Open pages request it
every 2 seconds, so two aggregate queries decide whether anything has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Prefetch, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from django_poketalk.protocol import numbers
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.shared.admin_pages import admin_url, render_page
from django_poketalk.shared.etags import if_changed, weak_etag
from django_poketalk.shared.moments import clock

from ..database.clock import database_now
from ..models import Call, Leg
from ..models.calls import Side
from .display import may_see_numbers

MOST_ROWS = 200  # the newest live calls on the board
REDRAWN_AFTER = 60  # seconds after which an unchanged board is sent again
CALLS = "poketalk_server_call"


@dataclass(frozen=True, slots=True)
class LegState:
    """A leg for display: its gateway, and what it does. Both are empty before its first attempt."""

    gateway: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A live call for display, with what each leg does. `seconds` since the last answer, or else
    since the request.
    """

    call: Call
    phase: str
    state: str
    from_number: str
    to_number: str
    leg_a: LegState
    leg_b: LegState
    seconds: int
    clock: str
    cost: str
    url: str
    hang_up_url: str


def board_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """The page with all live calls. Works without its script, which keeps it up to date."""
    _check(model_admin, request)
    rows_url = admin_url(model_admin.admin_site, f"{CALLS}_board_rows")
    context = {"title": _("Live board"), "rows_url": rows_url, **_context(model_admin, request)}
    return render_page(model_admin, request, "admin/poketalk_server/board.html", context)


def rows_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponseBase:
    """The contents of the board, or 304 if nothing but the clocks has changed."""
    _check(model_admin, request)

    def render() -> HttpResponse:
        template = "admin/poketalk_server/board_rows.html"
        return TemplateResponse(request, template, _context(model_admin, request))

    return if_changed(request, _version(model_admin, request), render)


def _check(model_admin: ModelAdmin[Any], request: HttpRequest) -> None:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied


def _version(model_admin: Any, request: HttpRequest) -> str:
    calls = model_admin.get_queryset(request).filter(state__in=Call.LIVE).order_by()
    facts = calls.aggregate(
        calls=Count("pk"),
        keys=Sum("pk"),
        statuses=Sum("status"),
        durations=Sum("duration"),
        costs=Sum("cost"),
        claimed=Sum("fence"),
        requested=Count("hangup_requested_at"),
    )
    legs = Leg.objects.filter(call__in=calls.values("pk")).aggregate(
        legs=Count("pk"),
        ringing=Count("ringing_at"),
        answered=Count("answered_at"),
        ended=Count("ended_at"),
    )
    may = (may_see_numbers(request), model_admin.has_hang_up_permission(request))
    minute = int(database_now().timestamp()) // REDRAWN_AFTER
    return weak_etag((facts, legs, request.user.pk, may, get_language(), minute))


def _context(model_admin: Any, request: HttpRequest) -> dict[str, Any]:
    legs = Leg.objects.select_related("gateway").order_by("side", "attempt")
    newest = (
        model_admin.get_queryset(request)
        .filter(state__in=Call.LIVE)
        .select_related("account")
        .prefetch_related(Prefetch("legs", legs))
        .order_by("-pk")[: MOST_ROWS + 1]
    )
    calls, now = list(newest), database_now()
    return {
        "rows": [_row(model_admin, request, call, now) for call in calls[:MOST_ROWS]],
        "is_cut": len(calls) > MOST_ROWS,
        "now": now,
    }


def _row(model_admin: Any, request: HttpRequest, call: Call, now: datetime) -> Row:
    whole = may_see_numbers(request)
    legs = {leg.side: leg for leg in call.legs.all()}  # the latest attempt of each side
    answers = [leg.answered_at for leg in legs.values() if leg.answered_at]
    seconds = max(0, int((now - max(answers, default=call.created_at)).total_seconds()))
    may_hang_up = call.hangup_requested_at is None and model_admin.has_hang_up_permission(request)
    site = model_admin.admin_site
    return Row(
        call=call,
        phase=_phase(call),
        state=_state(call),
        from_number=_number(call.from_number, whole),
        to_number=_number(call.to_number, whole),
        leg_a=_leg(legs.get(Side.A)),
        leg_b=_leg(legs.get(Side.B)),
        seconds=seconds,
        clock=clock(seconds),
        cost=number_format(call.cost, 3) if call.cost else "",
        url=admin_url(site, f"{CALLS}_change", call.pk),
        hang_up_url=admin_url(site, f"{CALLS}_hang_up", call.pk) if may_hang_up else "",
    )


def _number(digits: str, whole: bool) -> str:
    return numbers.display(f"+{digits}") if whole else numbers.mask(digits)


def _phase(call: Call) -> str:
    if call.hangup_requested_at is not None:
        return "ending"
    return "talking" if call.status == CallStatus.B_ANSWERED else "ringing"


def _state(call: Call) -> str:
    if call.hangup_requested_at is not None:
        return _("Hanging up")
    return str(call.get_state_display() if call.status is None else call.get_status_display())


def _leg(leg: Leg | None) -> LegState:
    if leg is None:
        return LegState()
    if leg.ended_at:
        state = _("ended")
    elif leg.answered_at:
        state = _("answered")
    else:
        state = _("ringing") if leg.ringing_at else _("dialing")
    return LegState(str(leg.gateway or ""), state)
