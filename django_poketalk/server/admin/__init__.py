"""The service in Django's admin. Each page has a module."""

from . import (  # noqa: F401  # they register with the admin
    accounts,
    blacklist,
    calls,
    gateways,
    health,
    keys,
    ledger,
    legs,
    presented_numbers,
    rates,
)
