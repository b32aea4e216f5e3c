"""Hang-up causes, SIP responses and Q.850 causes in words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..switch.machine.facts_and_commands import Cause
from .display import NOTHING

WORDS = {
    Cause.NORMAL: _("normal"),
    Cause.BUSY: _("busy"),
    Cause.NO_ANSWER: _("no answer"),
    Cause.DECLINED: _("declined"),
    Cause.UNALLOCATED: _("unallocated number"),
    Cause.UNREACHABLE: _("unreachable"),
    Cause.REJECTED: _("rejected by the network"),
    Cause.GATEWAY_DOWN: _("gateway down"),
    Cause.TRANSFERRED: _("transferred by a phone"),
    Cause.FORWARDED: _("forwarded by the phone"),
    Cause.OTHER_LEG: _("the other leg ended"),
    Cause.PEER_LOST: _("phone no longer responds"),
    Cause.NO_GATEWAY: _("no gateway"),
    Cause.NO_CHANNEL: _("no free channel"),
    Cause.NO_RATE: _("no rate"),
    Cause.NO_FUNDS: _("no funds"),
    Cause.MAX_DURATION: _("maximum duration reached"),
    Cause.QUEUE_TIMEOUT: _("queue timeout"),
    Cause.VETOED: _("vetoed by the customer"),
    Cause.HANG_UP_REQUESTED: _("hang-up requested"),
    Cause.SWITCH_STOPPED: _("switch stopped"),
    Cause.SWITCH_LOST: _("switch lost"),
    Cause.SWITCH_ERROR: _("switch error"),
}


# The final responses of RFC 3261, section 21, that gateways send for a call that fails
SIP: dict[int, str] = {
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    415: "Unsupported Media Type",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    481: "Call Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
# The causes of ITU-T Q.850, table 1
Q850: dict[int, str] = {
    1: "Unallocated number",
    2: "No route to network",
    3: "No route to destination",
    16: "Normal call clearing",
    17: "User busy",
    18: "No user responding",
    19: "No answer from user",
    20: "Subscriber absent",
    21: "Call rejected",
    22: "Number changed",
    26: "Non-selected user clearing",
    27: "Destination out of order",
    28: "Invalid number format",
    29: "Facility rejected",
    31: "Normal, unspecified",
    34: "No circuit or channel available",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Switching equipment congestion",
    44: "Requested channel not available",
    47: "Resource unavailable",
    50: "Facility not subscribed",
    55: "Incoming calls barred",
    57: "Bearer capability not authorized",
    58: "Bearer capability not available",
    65: "Bearer capability not implemented",
    79: "Service not implemented",
    88: "Incompatible destination",
    102: "Recovery on timer expiry",
    111: "Protocol error",
    127: "Interworking, unspecified",
}


def with_words(code: int, words: dict[int, str]) -> str | None:
    """The code with what its standard calls it. None for 0: there is none."""
    return f"{code} {words.get(code, '')}".rstrip() if code else None


class HangupCauseColumn:
    """Adds `cause` to the admin of rows with a hang-up cause, and the codes of the network."""

    @admin.display(description=_("SIP response"))
    def sip_response(self, row: Any) -> str:
        """The final SIP response, with its reason phrase."""
        return with_words(row.sip_status, SIP) or NOTHING

    @admin.display(description=_("cause from the network"))
    def network_cause(self, row: Any) -> str:
        """The Q.850 cause, with its name."""
        return with_words(row.q850, Q850) or NOTHING

    @admin.display(description=_("hang-up cause"))
    def cause(self, row: Any) -> Any:
        """The cause in words, or as it is stored if it is not in `WORDS`."""
        return WORDS.get(row.hangup_cause, row.hangup_cause) or NOTHING
