"""The signed part of an EventURL: the call, and the limits that apply even if the database is down.

A token is `<id>-<max duration>-<max cost>-<signature>`, with the duration in seconds, the cost or
nothing, and 128 bits of HMAC-SHA256 in base64url. A forged token causes no query.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings as project
from django.utils.crypto import constant_time_compare, salted_hmac

SALT = "django_poketalk.eventtokens"
SIGNATURE_LENGTH = 22  # characters: 128 bits in base64url
TOKEN = re.compile(
    r"(?P<payload>(?P<pk>[1-9][0-9]{0,18})-(?P<duration>[1-9][0-9]{0,9})-(?P<cost>[0-9]{1,9}(?:\.[0-9]{1,6})?)?)"
    rf"-(?P<signature>[A-Za-z0-9_-]{{{SIGNATURE_LENGTH}}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The content of a token: the call's primary key, its maximum duration in seconds, and its
    maximum cost or None.
    """

    pk: int
    max_duration: int
    max_cost: Decimal | None


def make(limits: Limits) -> str:
    """A token for these limits, signed with the project's `SECRET_KEY`."""
    cost = "" if limits.max_cost is None else f"{limits.max_cost.normalize():f}"
    payload = f"{limits.pk}-{limits.max_duration}-{cost}"
    return f"{payload}-{_signature(payload, project.SECRET_KEY)}"


def read(token: str) -> Limits | None:
    """The content of the token, or None if its signature is invalid. `SECRET_KEY_FALLBACKS` are
    accepted, so that keys can be rotated.
    """
    match = TOKEN.fullmatch(token)
    if match is None:
        return None
    for key in (project.SECRET_KEY, *project.SECRET_KEY_FALLBACKS):
        if constant_time_compare(match["signature"], _signature(match["payload"], key)):
            cost = match["cost"]
            return Limits(int(match["pk"]), int(match["duration"]), Decimal(cost) if cost else None)
    return None


def hidden(token: str) -> str:
    """The token for display, without the signature, which would allow forging events."""
    return f"{token[:-SIGNATURE_LENGTH]}…"


def _signature(payload: str, key: str | bytes) -> str:
    digest = salted_hmac(SALT, payload, secret=key, algorithm="sha256").digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
