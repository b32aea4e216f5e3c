"""The currency of each service: its `CURRENCY`, or else what the service says. A sweep asks; pages
never wait for a service.
"""

from __future__ import annotations

import re
import time

from django.core.cache import cache

from ..backends import can_ask, get_backend
from ..conf import aliases, service
from ..models import ServiceCurrency
from ..shared.logs import get_logger

logger = get_logger(__name__)

ASKED_EVERY = 3600  # seconds
KEPT_FOR = 60  # seconds, in each process

_known: dict[str, tuple[float, str]] = {}


def currency_of(alias: str) -> str:
    """The currency of this service (ISO 4217), "" if it is not known."""
    if chosen := service(alias).currency:
        return chosen
    if not can_ask(alias):
        return ""
    until, currency = _known.get(alias, (0.0, ""))
    if until < time.monotonic():
        rows = ServiceCurrency.objects.filter(alias=alias).values_list("currency", flat=True)
        currency = rows.first() or ""
        _known[alias] = (time.monotonic() + KEPT_FOR, currency)
    return currency


def common_currency() -> str:
    """The currency of all services, "" if it is not known, or if they differ."""
    found = {currency_of(alias) for alias in aliases()}
    return found.pop() if len(found) == 1 else ""


def ask() -> None:
    """Ask the services whose `CURRENCY` is not set, each once an hour."""
    for alias in aliases():
        if service(alias).currency or not can_ask(alias):
            continue
        if not cache.add(f"poketalk:currency:{alias}", True, ASKED_EVERY):
            continue
        try:
            currency = get_backend(alias).account_currency()
            is_currency = re.fullmatch("[A-Z]{3}", currency)
        except Exception as error:
            logger.warning("Service %s does not say its currency: %s", alias, error)
            continue
        if is_currency:
            ServiceCurrency.objects.update_or_create(alias=alias, defaults={"currency": currency})
            forget()


def forget() -> None:
    """Read the stored currencies again."""
    _known.clear()
