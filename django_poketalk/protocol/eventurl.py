"""The EventURL: a template with variables from the caller's side, which the service expands and
requests with GET (`docs/reference/protocol.md`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote, unquote_to_bytes

from .codes import CallStatus

MAX_LENGTH = 255  # characters of a template, counted before its variables are replaced
VARIABLES = ("webcallid", "status", "duration", "debit")
MAX_QUERY_LENGTH = 2048  # characters of an expanded query

_VARIABLE = re.compile(rf"(?:\$|%24)({'|'.join(VARIABLES)})")
_ORIGIN = re.compile(r"(?P<scheme>https?://)(?:[^/?#\\]*@)?(?P<host>[^/?#@\\]+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORMS = {
    "webcallid": re.compile(r".{0,255}"),
    "status": re.compile(r"[0-8]"),
    "duration": re.compile(r"(?:[0-9]{1,9})?"),
    "debit": re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?)?"),
}


class InvalidEvent(ValueError):
    """The query is not a valid event. The message says which part is wrong."""


@dataclass(frozen=True, slots=True)
class Event:
    """A report of the service: the call's status, its id, the seconds since leg A answered, and the
    cost so far.
    """

    status: CallStatus
    webcallid: str = ""
    duration: int | None = None
    cost: Decimal | None = None


def template(base: str) -> str:
    """The template with all variables for `base`, a URL without query."""
    return f"{base}?{'&'.join(f'{name}=${name}' for name in VARIABLES)}"


def expand(template: str, event: Event) -> str:
    """The URL to request: the template, with the variables in its query replaced by the event's
    percent-encoded values.

    A `$` inside a value is not expanded again. The template may spell `$` as `%24`. A duration or
    cost of None is sent as 0.
    """
    values = {
        "webcallid": event.webcallid,
        "status": str(event.status.value),
        "duration": str(event.duration or 0),
        "debit": format_debit(event.cost or Decimal(0)),
    }
    address, mark, rest = template.partition("?")
    query, hash_mark, fragment = rest.partition("#")
    if "#" in address:  # a question mark in a fragment does not begin a query
        return template
    query = _VARIABLE.sub(lambda match: quote(values[match[1]], safe="", errors="replace"), query)
    return f"{address}{mark}{query}{hash_mark}{fragment}"


def without_path(url: str) -> str:
    """An EventURL as it may be displayed: scheme, host and port, with `/…` in place of the rest,
    which may contain a signature. "" if the URL has no scheme and host.
    """
    match = _ORIGIN.match(url)
    if match is None:
        return ""
    rest = url[match.end() :]
    return f"{match['scheme']}{match['host']}{'/…' if rest not in ('', '/') else rest}"


def parse(query: str) -> Event:
    """The event in an expanded query. Raises `InvalidEvent`. Digits must be ASCII.

    `status` is required; the other variables may be missing or empty. Unknown keys are ignored.
    """
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidEvent(f"the query has {len(query)} characters")
    values: dict[str, str] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        name = _decode(key)
        if name not in VARIABLES:
            _decode(value)
            continue
        if name in values:
            raise InvalidEvent(f"{name} appears twice")
        values[name] = _decode(value)
        if not _FORMS[name].fullmatch(values[name]):
            raise InvalidEvent(f"{name} is {values[name][:40]!r}")
    if "status" not in values:
        raise InvalidEvent("status is missing")
    return Event(
        status=CallStatus(int(values["status"])),
        webcallid=values.get("webcallid", ""),
        duration=int(values["duration"]) if values.get("duration") else None,
        cost=Decimal(values["debit"]) if values.get("debit") else None,
    )


def format_debit(debit: Decimal) -> str:
    """An amount of money as it is sent: three decimals after a point."""
    return str(debit.quantize(Decimal("0.001"), ROUND_HALF_UP))


def _decode(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise InvalidEvent(f"invalid percent-encoding: {text[:40]!r}")
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError:  # decoding, or a lone surrogate in the text itself
        raise InvalidEvent(f"not UTF-8: {text[:40]!r}") from None
    if _CONTROL.search(decoded):
        raise InvalidEvent(f"control characters: {text[:40]!r}")
    return decoded
