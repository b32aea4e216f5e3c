"""Call requests and what is stored beside them, the events received for them, call backs,
blacklisted numbers, and the users' own phones.
"""

from .call_backs import CallBack
from .call_totals import CallTotals, ReportDay
from .calls import CallRequest
from .cap_locks import CapLock
from .currencies import ServiceCurrency
from .events import CallEvent
from .heartbeats import Heartbeat
from .metadata import CallMetadata
from .numbers import BlacklistedNumber
from .phones import Phone, VerificationCode
from .states import GRACE, STAGES, ManualResolution, Placement, Status
from .wrap_ups import WrapUp

__all__ = [
    "GRACE",
    "STAGES",
    "BlacklistedNumber",
    "CallBack",
    "CallEvent",
    "CallMetadata",
    "CallRequest",
    "CallTotals",
    "CapLock",
    "Heartbeat",
    "ManualResolution",
    "Phone",
    "Placement",
    "ReportDay",
    "ServiceCurrency",
    "Status",
    "VerificationCode",
    "WrapUp",
]
