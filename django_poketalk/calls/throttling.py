"""How often one user may request calls and quotes, in the API, in the admin and on the dial pad.

The rates are those of `REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]` for each scope; None there means
no limit, and a missing one the default here. They are counted in the default cache, approximately.
For an exact limit, use the limits in `POKETALK`.
"""

from __future__ import annotations

import math
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from rest_framework.throttling import SimpleRateThrottle, UserRateThrottle

from ..shared.rest import DefaultRate


class PlaceThrottle(DefaultRate, UserRateThrottle):
    """Requests for calls, including refused and repeated ones."""

    scope = "poketalk_place"
    default_rate = "30/min"


class QuoteThrottle(DefaultRate, UserRateThrottle):
    """Quotes, which can reveal what is on the blacklist."""

    scope = "poketalk_quote"
    default_rate = "60/min"


def too_many(throttle: type[SimpleRateThrottle], request: HttpRequest) -> HttpResponse | None:
    """Count this request of a page, together with those of the API. The response 429 if the user
    has sent too many, or else None.
    """
    counted: Any = throttle()
    if counted.allow_request(request, None):
        return None
    seconds = math.ceil(counted.wait() or 1)
    sentence = _("Too many requests. Try again in a minute.")
    return HttpResponse(
        sentence, "text/plain; charset=utf-8", 429, headers={"Retry-After": str(seconds)}
    )
