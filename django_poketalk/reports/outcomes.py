"""The outcomes of calls, for lists and reports. Each call has exactly one outcome."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..models import Placement
from ..protocol.codes import CallStatus

LIVE = "live"
CONNECTED = "connected"
CALLEE = "callee"
CALLER = "caller"
EARLY = "early"
REFUSED = "refused"
UNREACHABLE = "unreachable"
WITHDRAWN = "withdrawn"
UNKNOWN = "unknown"

# In the order of display: successful calls first.
WORDS: dict[str, str | Promise] = {
    CONNECTED: _("Connected"),
    CALLEE: _("Callee not reached"),
    EARLY: _("Ended before the callee answered"),
    CALLER: _("Caller not reached"),
    REFUSED: _("Refused by the service"),
    UNREACHABLE: _("Service unreachable"),
    WITHDRAWN: _("Canceled or expired"),
    UNKNOWN: _("Outcome unknown"),
    LIVE: _("In progress"),
}

_BY_STATUS = {
    CallStatus.B_ANSWERED: CONNECTED,
    CallStatus.AB_DISCONNECTED: CONNECTED,
    CallStatus.B_FAILED: CALLEE,
    CallStatus.A_FAILED: CALLER,
    CallStatus.A_DISCONNECTED: EARLY,
}
_BY_PLACEMENT: dict[str, str] = {
    Placement.REJECTED: REFUSED,
    Placement.FAILED: UNREACHABLE,
    Placement.CANCELLED: WITHDRAWN,
    Placement.EXPIRED: WITHDRAWN,
}


def of(placement: str, status: int | None, is_open: bool) -> str:
    """The outcome of a call with this placement and status. `is_open`: it is neither over nor
    stale.

    A call that became stale while both talked is connected; one that became stale earlier is
    unknown.
    """
    if is_open:
        return LIVE
    by_status = None if status is None else _BY_STATUS.get(CallStatus(status))
    return by_status or _BY_PLACEMENT.get(placement, UNKNOWN)
