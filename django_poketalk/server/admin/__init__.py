"""The service in Django's admin. Each page has a module."""

from . import (
    accounts,
    blacklist,
    calls,
    gateways,
    health,
    keys,
    ledger,
    legs,
    presented_numbers,
    routes,
)

__all__ = [
    "accounts",
    "blacklist",
    "calls",
    "gateways",
    "health",
    "keys",
    "ledger",
    "legs",
    "presented_numbers",
    "routes",
]
