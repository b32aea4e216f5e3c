"""Call requests, the events received for them, blacklisted numbers, and the users' own phones."""

from .calls import CallRequest
from .events import CallEvent
from .numbers import BlacklistedNumber
from .phones import Phone, VerificationCode
from .states import STAGES, ManualResolution, Placement, Status

__all__ = [
    "STAGES",
    "BlacklistedNumber",
    "CallEvent",
    "CallRequest",
    "ManualResolution",
    "Phone",
    "Placement",
    "Status",
    "VerificationCode",
]
