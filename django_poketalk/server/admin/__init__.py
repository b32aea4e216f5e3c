"""The service in Django's admin: one file a page."""

from . import accounts, blacklist, calls, gateways, health, keys, ledger, legs, routes

__all__ = [
    "accounts",
    "blacklist",
    "calls",
    "gateways",
    "health",
    "keys",
    "ledger",
    "legs",
    "routes",
]
