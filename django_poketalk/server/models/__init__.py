"""The service's rows: who may call, by which routes at which rates, and each call with its legs,
money and events.
"""

from .accounts import Account, AllowedAddress, ApiKey, BlacklistedNumber
from .calls import Call, EventDelivery, Leg, Side
from .ledger import LedgerEntry
from .routes import Gateway, Rate, ServiceProvider

__all__ = [
    "Account",
    "AllowedAddress",
    "ApiKey",
    "BlacklistedNumber",
    "Call",
    "EventDelivery",
    "Gateway",
    "LedgerEntry",
    "Leg",
    "Rate",
    "ServiceProvider",
    "Side",
]
