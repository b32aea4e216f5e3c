"""Why a call failed, in words: the causes of a service that says them. Others get plain sentences
that do not guess.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..backends.base import BY_CALLEE, BY_CALLER
from ..events import vetoes
from ..models import CallRequest
from ..protocol.codes import CallStatus, ResponseCode

# The causes of the end of a call that was placed, besides those of the service
ON_REQUEST = "hang_up_requested"
UNSAID = ("normal", "vetoed", ON_REQUEST)  # which say nothing that this site does not know

# For staff: the causes that calls of this site can have
WORDS: dict[str, Promise] = {
    BY_CALLER: gettext_lazy("hung up by the caller"),
    BY_CALLEE: gettext_lazy("hung up by the callee"),
    "max_duration": gettext_lazy("maximum duration reached"),
    "transferred": gettext_lazy("transferred by a phone"),
    "peer_lost": gettext_lazy("connection to a phone lost"),
    "switch_stopped": gettext_lazy("service stopped"),
    "switch_lost": gettext_lazy("service failed"),
    "switch_error": gettext_lazy("service failed"),
    "busy": gettext_lazy("busy"),
    "no_answer": gettext_lazy("no answer"),
    "declined": gettext_lazy("declined"),
    "unallocated_number": gettext_lazy("number does not exist"),
    "unreachable": gettext_lazy("phone not connected to its network"),
    "rejected": gettext_lazy("rejected by the network"),
    "forwarded": gettext_lazy("forwarded by the phone"),
    "gateway_down": gettext_lazy("gateway down"),
    "no_gateway": gettext_lazy("no gateway"),
    "no_channel": gettext_lazy("no free line"),
    "no_rate": gettext_lazy("no rate"),
    "no_funds": gettext_lazy("no credit"),
    "queue_timeout": gettext_lazy("waited too long at the service"),
    "live_calls": gettext_lazy("limit of simultaneous calls"),
    "calls_per_second": gettext_lazy("limit of calls per second"),
    "spend_per_day": gettext_lazy("daily spending limit"),
}

# For the caller, about the own phone, the callee's, and either
_CALLERS_PHONE: dict[str, Promise] = {
    "busy": gettext_lazy("Your phone is busy."),
    "no_answer": gettext_lazy("Your phone was not answered."),
    "declined": gettext_lazy("The call was declined on your phone."),
    "unallocated_number": gettext_lazy("Your phone’s number does not exist."),
    "forwarded": gettext_lazy("Your phone forwards its calls. Turn that off to be called."),
}
_CALLEES_PHONE: dict[str, Promise] = {
    "busy": gettext_lazy("%(name)s is busy."),
    "no_answer": gettext_lazy("%(name)s did not answer."),
    "declined": gettext_lazy("%(name)s declined the call."),
    "unallocated_number": gettext_lazy("The number of %(name)s does not exist."),
    "forwarded": gettext_lazy("The phone of %(name)s forwards its calls to another number."),
}
_SERVICE: dict[str, Promise] = {
    "gateway_down": gettext_lazy("The service’s gateway is down. Try again later."),
    "no_gateway": gettext_lazy("The service’s gateway is down. Try again later."),
    "no_channel": gettext_lazy("All lines of the service are busy. Try again in a moment."),
    "queue_timeout": gettext_lazy("All lines of the service are busy. Try again in a moment."),
    "no_funds": gettext_lazy("The credit at the service is used up."),
    "no_rate": gettext_lazy("The service has no rate for this call."),
}

_REFUSED: dict[str, str | Promise] = {
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
_REFUSED |= dict.fromkeys(
    (
        ResponseCode.UNKNOWN_API_USER,
        ResponseCode.NO_SERVICE_PROVIDER,
        ResponseCode.UNKNOWN_ADDRESS,
    ),
    _REFUSED[ResponseCode.EMPTY_API_KEY],
)
# Which of its reasons code 90 had
_REFUSED_FOR: dict[str, Promise] = {
    "no_funds": gettext_lazy("Refused: not enough credit at the service for this call."),
    "no_rate": gettext_lazy("Refused: the service has no rate for this call."),
    "live_calls": gettext_lazy("Refused: too many calls at the same time. Try again later."),
    "calls_per_second": gettext_lazy("Refused: too many calls in this second. Try again."),
    "spend_per_day": gettext_lazy("Refused: today’s budget at the service is used up."),
}


def in_words(call: CallRequest) -> str:
    """The cause for staff, as it is stored if it is not one of `WORDS`, "" if it is not known or
    says nothing.
    """
    if call.hangup_cause in UNSAID:
        return ""
    return str(WORDS.get(call.hangup_cause, call.hangup_cause))


def veto_in_words(reason: str) -> str:
    """Why this site ended a call, for staff: a rule's own words, or what limit was reached."""
    match reason:
        case vetoes.MAX_DURATION:
            return _("maximum duration reached")
        case vetoes.MAX_COST:
            return _("maximum cost reached")
        case by_a_rule:
            return by_a_rule


def refused(call: CallRequest) -> str:
    """Why the service refused the call, as a sentence."""
    sentence = _REFUSED_FOR.get(call.hangup_cause) or _REFUSED.get(call.response_code)
    return str(sentence or _("The service refused the call."))


def not_reached(call: CallRequest, name: str) -> str:
    """Why a phone was not reached, as a sentence for the caller. `name` is the callee's."""
    cause = call.hangup_cause
    if call.status == CallStatus.A_FAILED:
        known = _CALLERS_PHONE.get(cause) or _SERVICE.get(cause)
        return str(known or _("Your phone could not be reached."))
    known = _CALLEES_PHONE.get(cause) or _SERVICE.get(cause)
    return str(known or _("%(name)s could not be reached.")) % {"name": name}
