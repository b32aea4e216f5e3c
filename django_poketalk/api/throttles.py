"""How often one user may request calls and quotes.

The rates are those of `REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]` for each scope; None there means
no limit, and a missing one the default here. They are counted in the default cache, approximately.
For an exact limit, use the limits in `POKETALK`.
"""

from __future__ import annotations

from typing import Any

from rest_framework.settings import api_settings
from rest_framework.throttling import UserRateThrottle


class _DefaultRate(UserRateThrottle):
    """A rate with a default."""

    scope: str
    default_rate: str

    def get_rate(self) -> str | None:
        """The project's rate, read for each request."""
        rates: dict[str, Any] = api_settings.DEFAULT_THROTTLE_RATES or {}
        rate: str | None = rates.get(self.scope, self.default_rate)
        return rate


class PlaceThrottle(_DefaultRate):
    """Requests for calls, including refused and repeated ones."""

    scope = "poketalk_place"
    default_rate = "30/min"


class QuoteThrottle(_DefaultRate):
    """Quotes, which can reveal what is on the blacklist."""

    scope = "poketalk_quote"
    default_rate = "60/min"
