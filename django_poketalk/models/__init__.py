"""A call's life as rows: what we asked for, what we were told, and the numbers that may not be
called.
"""

from .calls import STAGES, CallRequest, Placement, Status
from .events import CallEvent
from .numbers import BlacklistedNumber, CallerNumber

__all__ = [
    "STAGES",
    "BlacklistedNumber",
    "CallEvent",
    "CallRequest",
    "CallerNumber",
    "Placement",
    "Status",
]
