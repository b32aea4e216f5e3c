"""The service in Django's admin: one file a page."""

from .accounts import AccountAdmin, ApiKeyAdmin
from .blacklist import BlacklistedNumberAdmin
from .calls import CallAdmin
from .ledger import LedgerEntryAdmin
from .routes import GatewayAdmin, RateAdmin, ServiceProviderAdmin

__all__ = [
    "AccountAdmin",
    "ApiKeyAdmin",
    "BlacklistedNumberAdmin",
    "CallAdmin",
    "GatewayAdmin",
    "LedgerEntryAdmin",
    "RateAdmin",
    "ServiceProviderAdmin",
]
