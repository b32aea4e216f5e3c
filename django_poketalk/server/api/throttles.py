"""How often one account may query its calls.

The rate is that of `REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]` for the scope, counted in the default
cache, approximately.
"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.views import APIView

from django_poketalk.shared.rest import DefaultRate

from ..models import ApiKey


class QueryThrottle(DefaultRate):
    """Queries of an account, with all of its keys together."""

    scope = "poketalk_query"
    default_rate = "600/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """By account. Requests without a valid key are refused before they are counted."""
        key = request.auth
        if not isinstance(key, ApiKey):
            return None
        return self.cache_format % {"scope": self.scope, "ident": key.account_id}
