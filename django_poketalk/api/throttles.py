"""How often one user may ask for calls over the API.

The rates are those of `REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]` under the scope's name, or ours
where the project has none; None there switches one off. They are counted in the default cache, not
exactly: what must not be passed is a limit in `POKETALK`.
"""

from __future__ import annotations

from typing import Any

from rest_framework.settings import api_settings
from rest_framework.throttling import UserRateThrottle


class _OwnRate(UserRateThrottle):
    """A rate that can be set and need not be."""

    scope: str
    ours: str

    def get_rate(self) -> str | None:
        """The project's rate, looked up at each request."""
        rates: dict[str, Any] = api_settings.DEFAULT_THROTTLE_RATES or {}
        rate: str | None = rates.get(self.scope, self.ours)
        return rate


class PlaceThrottle(_OwnRate):
    """Orders of calls, also those that are refused or repeated."""

    scope = "poketalk_place"
    ours = "30/min"


class QuoteThrottle(_OwnRate):
    """Quotes, which tell what is on the blacklist."""

    scope = "poketalk_quote"
    ours = "60/min"
