"""The service's models: accounts, keys, routes, rates, calls, legs, ledger entries and events."""

from .accounts import Account, AllowedAddress, ApiKey, BlacklistedNumber
from .calls import Call, EventDelivery, Leg, Side
from .ledger import LedgerEntry
from .presented_numbers import PresentedNumber
from .rates import BuyRate, Rate
from .routes import Gateway, LegABilling, ServiceProvider
from .switches import Switch, TestCall

__all__ = [
    "Account",
    "AllowedAddress",
    "ApiKey",
    "BlacklistedNumber",
    "BuyRate",
    "Call",
    "EventDelivery",
    "Gateway",
    "LedgerEntry",
    "Leg",
    "LegABilling",
    "PresentedNumber",
    "Rate",
    "ServiceProvider",
    "Side",
    "Switch",
    "TestCall",
]
