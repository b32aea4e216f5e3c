"""The status of a call for the `<poketalk-call>` element, with a sentence for the caller.

All texts come from here, in the user's language. The script on the page contains none.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from .. import permissions
from ..backends import can_ask
from ..calls import required_results
from ..calls.currencies import currency_of
from ..events import vetoes
from ..exceptions import CallRefused
from ..models import CallRequest, Placement
from ..models.phones import users_keep_their_own
from ..protocol import numbers
from ..protocol.codes import CallStatus
from ..shared.moments import moment_with_zone
from ..shared.text import isolated
from . import hangup_causes, wrap_up

TALKING = (CallStatus.B_ANSWERED,)
RINGING = (CallStatus.A_ANSWERED, CallStatus.B_INITIATED)
NOT_REACHED = (CallStatus.A_FAILED, CallStatus.B_FAILED)
REFRESH_RINGING = 3  # seconds until the page of an open call loads again
BEFORE_DUE = 30  # seconds before it rings, from which the page of a scheduled call loads again
SELDOM = 3600  # the longest time between two loads of a page
REFRESH_TALKING = 10
ASKED_FOR = timedelta(seconds=5)  # until the service that was asked should have ended a call
TAKEN_WITHIN = timedelta(seconds=5)  # until a worker should have taken a call from the queue
REPORTS = timedelta(seconds=60)  # between the reports of the service, from the caller's answer

CAUSE_WANTED = timedelta(seconds=10)  # after a call's end, a page asks for the cause


def serialize(call: CallRequest, user: Any) -> dict[str, Any]:
    """The call as JSON for this user. Does not check whether the user may see it.

    `callee` is whom the call is to or about, for display. `phase` is `calling`, `ringing`,
    `talking`, `ending`, `unknown`, `ended` or `failed`, and `sentence` describes it. `clock` is the
    seconds that both have talked so far, or null if they are not talking. `next_report` is the
    seconds until the report that ends the call, if it was hung up and waits for that, else null.
    `cost_text` is the cost for display, or "" without a cost. `talk_time` is the seconds that both
    talked, or null before the end, and `duration` those since the caller answered. `cost` is a
    decimal string in the service's `currency`, which is "" if it is not known, and `ended` ISO 8601
    or null, as the service reported them. `wrap_up` is where to ask for the result of a call that
    has ended (`wrap_up.request_for`), or null. Load the call's subject first (`subjects.load`).
    """
    now = phase(call)
    own = call.user_id == user.pk
    return {
        "id": call.pk,
        "callee": callee_for(call, user),
        "phase": now,
        "sentence": sentence(call) if own else capfirst(call.state),
        "clock": call.talk_time if call.is_open and call.status in TALKING else None,
        "next_report": next_report(call),
        "cost_text": cost(call.cost, call.service),
        "may_hang_up": permissions.may_hang_up_now(user, call),
        "placement": call.placement,
        "status": call.status,
        "state": call.state,
        "talk_time": None if call.is_open else call.talk_time,
        "duration": call.duration,
        "cost": str(call.cost),
        "currency": currency_of(call.service),
        "open": call.is_open,
        "ended": call.ended_at.isoformat() if call.ended_at else None,
        "wrap_up": wrap_up.request_for(call, user),
    }


def serialize_with_links(call: CallRequest, user: Any, back: str) -> dict[str, Any]:
    """`serialize`, with the URLs of the call's status, of its page, and for hanging up. `back` is
    the page with the button. The user returns to it, for example after logging in.
    """
    return {
        **serialize(call, user),
        "status_url": with_way_back(reverse("poketalk:call-status", args=[call.pk]), back),
        "hang_up_url": reverse("poketalk:hang-up", args=[call.pk]),
        "link": {
            "url": with_way_back(reverse("poketalk:call", args=[call.pk]), back),
            "label": _("Details"),
        },
    }


def wants_cause(call: CallRequest) -> bool:
    """Whether a phone was not reached just now, and the service may know why."""
    return (
        call.status in NOT_REACHED
        and not call.hangup_cause
        and call.ended_at is not None
        and timezone.now() - call.ended_at < CAUSE_WANTED
    )


def refresh_after(call: CallRequest) -> int | None:
    """Seconds after which the call's page loads again; None for a call that has ended."""
    if not call.is_open:
        return None
    if call.status in TALKING:
        return REFRESH_TALKING
    waits = int((call.rings_at - timezone.now()).total_seconds()) - BEFORE_DUE
    return min(max(waits, REFRESH_RINGING), SELDOM)


def waits_for_its_time(call: CallRequest) -> bool:
    """Whether the call was scheduled for later and is not due yet."""
    return (
        call.placement == Placement.QUEUED and call.is_scheduled and call.rings_at > timezone.now()
    )


def heading(call: CallRequest) -> str:
    """The state of the call, for its page."""
    return str(_("Scheduled")) if waits_for_its_time(call) else str(capfirst(call.state))


def way_out(refusal: CallRefused, user: Any, back: str) -> dict[str, str] | None:
    """A link to the page where the user can remove the reason of a refusal, if there is one."""
    if refusal.field == "from_number" and users_keep_their_own():
        url = with_way_back(reverse("poketalk:phones"), back)
        is_missing = refusal.code == "no_own_number"
        return {
            "url": url,
            "label": _("Set your own phone number") if is_missing else _("My phones"),
        }
    if refusal.code == "wrap_up_missing":
        call = required_results.missing(user)
        if call is not None:
            page = with_way_back(reverse("poketalk:call", args=[call.pk]), back)
            return {"url": f"{page}#wrap-up", "label": _("Choose the result")}
    if refusal.code == "live_calls_per_user":
        call = CallRequest.objects.live().filter(user=user).first()
        if call is not None:
            url = with_way_back(reverse("poketalk:call", args=[call.pk]), back)
            return {"url": url, "label": _("View that call")}
    return None


def with_way_back(url: str, back: str) -> str:
    """The URL, with `back` as its parameter `next`, unless `back` is empty."""
    return f"{url}?{urlencode({'next': back})}" if back else url


def phase(call: CallRequest) -> str:
    """The stage of the call, for style sheets and scripts (see `serialize`)."""
    if not call.is_open:
        fine = call.status == CallStatus.AB_DISCONNECTED or _ended_by_us(call)
        return "ended" if fine or call.placement == Placement.CANCELLED else "failed"
    if call.hangup_requested_at is not None:
        return "ending"
    if call.status in TALKING:
        return "talking"
    if call.status in RINGING:
        return "ringing"
    is_unknown = call.placement == Placement.UNKNOWN and not call.status
    return "unknown" if is_unknown else "calling"


def sentence(call: CallRequest) -> str:
    """The state of the call and, if it failed, the reason, as a sentence for the caller."""
    match phase(call):
        case "calling":
            if call.placement == Placement.ACCEPTED or call.status is not None:
                return _("Calling your phone …")
            return waiting(call) or _("Requesting the call …")
        case "ringing":
            return _("Ringing %(name)s …") % {"name": callee(call)}
        case "talking":
            return _("Connected")
        case "ending":
            return ending(call)
        case "unknown":
            return _(
                "The service gave no clear answer, so the phones may or may not ring. Check before"
                " you call again."
            )
        case "ended":
            return _ended(call)
        case _:
            return _failed(call)


def waiting(call: CallRequest) -> str:
    """Why a queued call has not been sent yet, as a sentence. "" if it is about to be."""
    if call.placement != Placement.QUEUED:
        return ""
    if call.attempts:
        return _("The service cannot be reached yet. Trying again …")
    if call.not_before > timezone.now():
        at = moment_with_zone(call.not_before)
        return _("Your phone will ring on %(time)s.") % {"time": at}
    if call.response_detail:
        return _("Waiting. %(reason)s") % {"reason": call.response_detail}
    if timezone.now() - call.not_before > TAKEN_WITHIN:
        return _("The call is still waiting to be placed. No phone has rung yet.")
    return ""


def ending(call: CallRequest) -> str:
    """When an open call ends that somebody has hung up, as a sentence for the caller."""
    if is_service_asked(call):
        return _("Hanging up …")
    words = _("Hanging up … The call ends at the service’s next report, within a minute.")
    if call.a_answered_at is None:
        way = _("Or decline the call on your phone to end it now.")
    else:
        way = _("Or hang up your phone to end the call now.")
    return f"{words} {way}"


def is_service_asked(call: CallRequest) -> bool:
    """Whether the service was just asked to end the call, so that it is about to."""
    requested = call.hangup_requested_at
    is_recent = requested is not None and timezone.now() - requested < ASKED_FOR
    return is_recent and can_ask(call.service)


def next_report(call: CallRequest) -> int | None:
    """The seconds until the report of the service that ends a call which somebody has hung up. None
    if that is not known: if the call ends earlier, or the caller has not answered yet.
    """
    if phase(call) != "ending" or call.a_answered_at is None or is_service_asked(call):
        return None
    passed = (timezone.now() - call.a_answered_at) % REPORTS
    return int((REPORTS - passed).total_seconds())


def callee(call: CallRequest) -> str:
    """The callee: the object that the call is about, or else the number."""
    name = str(call.subject or numbers.display(call.to_number, call.to_extension))
    return isolated(name)


def callee_for(call: CallRequest, user: Any) -> str:
    """The callee, as `callee`, with a number as this user may see it."""
    if call.user_id == user.pk:
        return callee(call)
    whole = permissions.may_see_numbers(user, call)
    return isolated(str(call.subject or permissions.display_callee(call, whole)))


def cost(amount: Decimal, alias: str | None = None) -> str:
    """An amount for display, with two decimals, or three if necessary, and with the
    currency of the service with this alias, if it is known. Zero is "".
    """
    exact = _thousandths(amount)
    places = 2 if exact == exact.quantize(Decimal("0.01")) else 3
    currency = currency_of(alias) if alias is not None else ""
    text = number_format(exact, places)
    return f"{text}\N{NO-BREAK SPACE}{currency}".rstrip() if exact else ""


def column_cost(amount: Decimal) -> str:
    """An amount in a column, always with three decimals, as on the wire. Zero is ""."""
    exact = _thousandths(amount)
    return number_format(exact, 3) if exact else ""


def _thousandths(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.001"), ROUND_HALF_UP)


def length(seconds: int) -> str:
    """A duration for display: `42 s`, `3 min`, `3 min 12 s`."""
    minutes, rest = divmod(seconds, 60)
    parts = {"minutes": minutes, "seconds": rest}
    if not minutes:
        return _("%(seconds)d s") % parts
    return (_("%(minutes)d min %(seconds)d s") if rest else _("%(minutes)d min")) % parts


def _ended(call: CallRequest) -> str:
    if call.placement == Placement.CANCELLED:
        return _("Canceled before a phone rang.")
    if call.status != CallStatus.AB_DISCONNECTED:
        words = _("Ended before %(name)s answered.") % {"name": callee(call)}
    else:
        figures = {"length": length(call.talk_time), "cost": cost(call.cost, call.service)}
        text = _("Ended, %(length)s, %(cost)s") if figures["cost"] else _("Ended, %(length)s")
        words = text % figures
    return f"{words} {why}" if (why := _veto(call)) else words


def _failed(call: CallRequest) -> str:
    if call.placement == Placement.REJECTED:
        return hangup_causes.refused(call)
    if call.placement == Placement.FAILED:
        return _("The service could not be reached. No phone rang. Try again later.")
    if call.placement == Placement.EXPIRED:
        return _("The call could not be placed in time. No phone rang. Try again.")
    if call.placement == Placement.FORBIDDEN:
        return _("No phone rang. %(reason)s") % {"reason": call.response_detail}
    if call.status in NOT_REACHED:
        return hangup_causes.not_reached(call, callee(call))
    if call.status == CallStatus.A_DISCONNECTED:
        return _("Ended before %(name)s answered.") % {"name": callee(call)}
    if call.placement == Placement.UNKNOWN:
        return _("The outcome of the call is not known. Check before you call again.")
    return _("No further updates from the service. The call is assumed to have ended.")


def _ended_by_us(call: CallRequest) -> bool:
    return call.ended_at is not None and bool(call.hangup_requested_at or call.veto_reason)


def _veto(call: CallRequest) -> str:
    """Why this site ended the call, as a sentence. "" if a user did, or if the site did not."""
    match call.veto_reason:
        case "" | vetoes.HANG_UP:
            return ""
        case vetoes.MAX_DURATION:
            return _("It reached its maximum duration.")
        case vetoes.MAX_COST:
            return _("It reached its maximum cost.")
        case reason:
            return _("Ended by this site: %(reason)s.") % {"reason": reason}
