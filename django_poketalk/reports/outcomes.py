"""The outcomes of calls, for lists and reports. Each call has exactly one outcome."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from ..models import Placement
from ..protocol.codes import CallStatus


class Outcome(TextChoices):
    """In the order of display: successful calls first."""

    CONNECTED = "connected", _("Connected")
    CALLEE = "callee", _("Callee not reached")
    EARLY = "early", _("Ended before the callee answered")
    CALLER = "caller", _("Caller not reached")
    REFUSED = "refused", _("Refused by the service")
    UNREACHABLE = "unreachable", _("Service unreachable")
    WITHDRAWN = "withdrawn", _("Not sent")
    UNKNOWN = "unknown", _("Outcome unknown")
    LIVE = "live", _("In progress")


_BY_STATUS = {
    CallStatus.B_ANSWERED: Outcome.CONNECTED,
    CallStatus.AB_DISCONNECTED: Outcome.CONNECTED,
    CallStatus.B_FAILED: Outcome.CALLEE,
    CallStatus.A_FAILED: Outcome.CALLER,
    CallStatus.A_DISCONNECTED: Outcome.EARLY,
}
_BY_PLACEMENT: dict[str, Outcome] = {
    Placement.REJECTED: Outcome.REFUSED,
    Placement.FAILED: Outcome.UNREACHABLE,
    Placement.CANCELLED: Outcome.WITHDRAWN,
    Placement.EXPIRED: Outcome.WITHDRAWN,
    Placement.FORBIDDEN: Outcome.WITHDRAWN,
}


def of(placement: str, status: int | None, is_open: bool) -> Outcome:
    """The outcome of a call with this placement and status. `is_open`: it is neither over nor
    stale.

    A call that became stale while both talked is connected; one that became stale earlier is
    unknown.
    """
    if is_open:
        return Outcome.LIVE
    by_status = None if status is None else _BY_STATUS.get(CallStatus(status))
    return by_status or _BY_PLACEMENT.get(placement, Outcome.UNKNOWN)
