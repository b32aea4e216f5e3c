"""A call's life as rows: what we asked for, what we were told, and the numbers that may not be
called.
"""

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
