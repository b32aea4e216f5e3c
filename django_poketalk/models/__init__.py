"""Call requests, the events received for them, blacklisted numbers, and the users' own numbers."""

from .calls import CallRequest
from .events import CallEvent
from .numbers import BlacklistedNumber, CallerNumber
from .states import STAGES, ManualResolution, Placement, Status

__all__ = [
    "STAGES",
    "BlacklistedNumber",
    "CallEvent",
    "CallRequest",
    "CallerNumber",
    "ManualResolution",
    "Placement",
    "Status",
]
