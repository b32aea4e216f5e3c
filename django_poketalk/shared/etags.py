"""ETags for JSON and HTML fragments that clients poll."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.crypto import salted_hmac

SALT = "django_poketalk.etag"


def weak_etag(facts: Any) -> str:
    """A weak ETag of JSON-serializable data. Other values are converted to text.

    It is a keyed hash: the data may contain a number that the page masks, which whoever knows the
    rest could otherwise find by trying.
    """
    text = json.dumps(facts, sort_keys=True, default=str)
    digest = salted_hmac(SALT, text, algorithm="sha256").hexdigest()
    return f'W/"{digest[:32]}"'


def if_changed(
    request: HttpRequest, etag: str, render: Callable[[], HttpResponse]
) -> HttpResponseBase:
    """304 if the client has this version, else the response of `render`, with the ETag."""
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    response = render()
    response.headers["ETag"] = etag
    return response
