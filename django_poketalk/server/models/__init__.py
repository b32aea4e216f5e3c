"""The service's models: accounts, keys, routes, rates, calls, legs, ledger entries and events."""

from .accounts import Account, AllowedAddress, ApiKey
from .blacklist import BlacklistedNumber
from .calls import Call, Leg, Side
from .channels import Channel
from .deck_imports import DeckImport
from .deliveries import EventDelivery
from .gateway_states import GatewayState
from .gateways import Gateway
from .ledger import LedgerEntry
from .presented_numbers import PresentedNumber
from .price_lists import PriceList
from .providers import LegABilling, ServiceProvider
from .rates import ALWAYS, BuyRate, Rate
from .switches import Switch, TestCall

__all__ = [
    "ALWAYS",
    "Account",
    "AllowedAddress",
    "ApiKey",
    "BlacklistedNumber",
    "BuyRate",
    "Call",
    "Channel",
    "DeckImport",
    "EventDelivery",
    "Gateway",
    "GatewayState",
    "LedgerEntry",
    "Leg",
    "LegABilling",
    "PresentedNumber",
    "PriceList",
    "Rate",
    "ServiceProvider",
    "Side",
    "Switch",
    "TestCall",
]
