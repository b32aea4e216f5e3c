"""The status of a call for the `<poketalk-call>` element, with a sentence for the caller.

All texts come from here, in the user's language. The script on the page contains none.
"""

from __future__ import annotations

import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import get_language_bidi, gettext_lazy
from django.utils.translation import gettext as _

from .. import permissions
from ..events import vetoes
from ..exceptions import CallRefused
from ..models import CallRequest, Placement
from ..models.phones import users_keep_their_own
from ..protocol import numbers
from ..protocol.codes import CallStatus, ResponseCode

TALKING = (CallStatus.B_ANSWERED,)
RINGING = (CallStatus.A_ANSWERED, CallStatus.B_INITIATED)
REFRESH_RINGING = 3  # seconds until the page of an open call loads again
REFRESH_TALKING = 10
FIRST_STRONG = {"L": False, "R": True, "AL": True}

REJECTED: dict[str, str | Promise] = {
    ResponseCode.BLACKLISTED: gettext_lazy(
        "Refused: one of the numbers is on the service’s blacklist."
    ),
    ResponseCode.NO_GATEWAY: gettext_lazy("Refused: the service cannot reach one of the numbers."),
    ResponseCode.NO_TIMEOUT: gettext_lazy(
        "Refused: not enough credit for this call, or the service has no rate for it."
    ),
    ResponseCode.EMPTY_API_KEY: gettext_lazy(
        "Refused: the service does not recognize this site. Contact its administrator."
    ),
}
REJECTED |= dict.fromkeys(
    (
        ResponseCode.UNKNOWN_API_USER,
        ResponseCode.NO_SERVICE_PROVIDER,
        ResponseCode.UNKNOWN_ADDRESS,
    ),
    REJECTED[ResponseCode.EMPTY_API_KEY],
)


def serialize(call: CallRequest, user: Any) -> dict[str, Any]:
    """The call as JSON for this user. Does not check whether the user may see it.

    `phase` is `calling`, `ringing`, `talking`, `ending`, `unknown`, `ended` or `failed`, and
    `sentence` describes it for people. `clock` is the seconds that both have talked so far, or null
    if they are not talking. `cost_text` is the cost for display, or "" without a cost. `duration`
    is in seconds, `cost` a decimal string, and `ended` ISO 8601 or null, as the service reported
    them. Load the call's subject first (`subjects.load`).
    """
    now = phase(call)
    own = call.user_id == user.pk
    return {
        "phase": now,
        "sentence": sentence(call) if own else capfirst(call.state),
        "clock": _talked(call) if now == "talking" else None,
        "cost_text": cost(call.cost),
        "may_hang_up": permissions.may_hang_up_now(user, call),
        "placement": call.placement,
        "status": call.status,
        "state": call.state,
        "duration": call.duration,
        "cost": str(call.cost),
        "open": call.is_open,
        "ended": call.ended_at.isoformat() if call.ended_at else None,
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


def refresh_after(call: CallRequest) -> int | None:
    """Seconds after which the call's page loads again; None for a call that has ended."""
    if not call.is_open:
        return None
    return REFRESH_TALKING if call.status in TALKING else REFRESH_RINGING


def way_out(refusal: CallRefused, user: Any, back: str) -> dict[str, str] | None:
    """A link to the page where the user can remove the reason of a refusal, if there is one."""
    if refusal.field == "from_number" and users_keep_their_own():
        url = with_way_back(reverse("poketalk:phones"), back)
        is_missing = refusal.code == "no_own_number"
        return {
            "url": url,
            "label": _("Set your own phone number") if is_missing else _("My phones"),
        }
    if refusal.code == "live_calls_per_user":
        call = CallRequest.objects.open().filter(user=user).first()
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
        case "calling" if call.placement == Placement.QUEUED and call.attempts:
            return _("The service cannot be reached yet. Trying again …")
        case "calling":
            return _("Calling your phone …")
        case "ringing":
            return _("Ringing %(name)s …") % {"name": callee(call)}
        case "talking":
            return _("Connected")
        case "ending":
            return _("Hanging up … The call ends at the service’s next report, within a minute.")
        case "unknown":
            return _(
                "The service gave no clear answer, so the phones may or may not ring. Check before"
                " you call again."
            )
        case "ended":
            return _ended(call)
        case _:
            return _failed(call)


def callee(call: CallRequest) -> str:
    """The callee: the object that the call is about, or else the number."""
    name = str(call.subject or numbers.display(call.to_number, call.to_extension))
    return isolated(name)


def isolated(name: str) -> str:
    """The name, isolated if its direction differs from that of the surrounding sentence."""
    runs = (FIRST_STRONG.get(unicodedata.bidirectional(letter)) for letter in name)
    from_right = next((run for run in runs if run is not None), False)
    if from_right == get_language_bidi():
        return name
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def cost(amount: Decimal) -> str:
    """An amount for display, with two decimals, or three if necessary. Zero is ""."""
    exact = _thousandths(amount)
    places = 2 if exact == exact.quantize(Decimal("0.01")) else 3
    return number_format(exact, places) if exact else ""


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
        figures = {"length": length(call.duration), "cost": cost(call.cost)}
        text = _("Ended, %(length)s, %(cost)s") if figures["cost"] else _("Ended, %(length)s")
        words = text % figures
    return f"{words} {why}" if (why := _veto(call)) else words


def _failed(call: CallRequest) -> str:
    if call.placement == Placement.REJECTED:
        return str(REJECTED.get(call.response_code) or _("The service refused the call."))
    if call.placement == Placement.FAILED:
        return _("The service could not be reached. No phone rang. Try again later.")
    if call.placement == Placement.EXPIRED:
        return _("The call could not be placed in time. No phone rang. Try again.")
    if call.status == CallStatus.A_FAILED:
        return _("Your phone could not be reached: busy, no answer or declined.")
    if call.status == CallStatus.B_FAILED:
        return _("%(name)s could not be reached: busy, no answer or declined.") % {
            "name": callee(call)
        }
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


def _talked(call: CallRequest) -> int:
    """The seconds that both have talked so far. If the event of B's answer was missed, the seconds
    since A's answer.
    """
    if call.b_answered_at is None:
        return call.duration
    return max(0, int((timezone.now() - call.b_answered_at).total_seconds()))
