"""The EventURL (seed, EventURL): a caller's template with variables, which a service expands and
then requests by GET.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote, unquote_to_bytes

from .codes import CallStatus

MAX_LENGTH = 255  # characters of a template, counted before its variables are replaced
VARIABLES = ("webcallid", "status", "duration", "debit")
LONGEST_QUERY = 2048  # characters of an expanded query that are looked at

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
    """A query that is no event: says which part is wrong."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a service reports: the call's status, its id, seconds since leg A answered, and the cost
    so far.
    """

    status: CallStatus
    webcallid: str = ""
    duration: int | None = None
    cost: Decimal | None = None


def template(base: str) -> str:
    """The template that reports everything to `base`, a URL without query."""
    return f"{base}?{'&'.join(f'{name}=${name}' for name in VARIABLES)}"


def expand(template: str, event: Event) -> str:
    """The URL to request: the variables in the template's query replaced by the event's values,
    percent-encoded.

    One pass: a `$` inside a value is data. A `$` of the template may be written `%24`. A duration
    or cost of None counts as 0.
    """
    values = {
        "webcallid": event.webcallid,
        "status": str(event.status.value),
        "duration": str(event.duration or 0),
        "debit": format_debit(event.cost or Decimal(0)),
    }
    address, mark, rest = template.partition("?")
    query, hash_mark, fragment = rest.partition("#")
    if "#" in address:  # a question mark behind a fragment begins no query
        return template
    query = _VARIABLE.sub(lambda match: quote(values[match[1]], safe="", errors="replace"), query)
    return f"{address}{mark}{query}{hash_mark}{fragment}"


def without_path(url: str) -> str:
    """Scheme, host and port, and `/…` for whatever stands behind them, which may hold a signature:
    what people may read of somebody's EventURL. "" for one that has none of these.
    """
    match = _ORIGIN.match(url)
    if match is None:
        return ""
    rest = url[match.end() :]
    return f"{match['scheme']}{match['host']}{'/…' if rest not in ('', '/') else rest}"


def parse(query: str) -> Event:
    """The event that an expanded query tells, by ASCII rules. Raises `InvalidEvent`.

    `status` is required, the others may be missing or empty; keys that are not the protocol's are
    ignored.
    """
    if len(query) > LONGEST_QUERY:
        raise InvalidEvent(f"the query has {len(query)} characters")
    told: dict[str, str] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        name = _decode(key)
        if name not in VARIABLES:
            _decode(value)
            continue
        if name in told:
            raise InvalidEvent(f"{name} stands twice")
        told[name] = _decode(value)
        if not _FORMS[name].fullmatch(told[name]):
            raise InvalidEvent(f"{name} is {told[name][:40]!r}")
    if "status" not in told:
        raise InvalidEvent("status is missing")
    return Event(
        status=CallStatus(int(told["status"])),
        webcallid=told.get("webcallid", ""),
        duration=int(told["duration"]) if told.get("duration") else None,
        cost=Decimal(told["debit"]) if told.get("debit") else None,
    )


def format_debit(debit: Decimal) -> str:
    """Money as it stands on the wire: three decimals and a point."""
    return str(debit.quantize(Decimal("0.001"), ROUND_HALF_UP))


def _decode(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise InvalidEvent(f"bad percent-encoding: {text[:40]!r}")
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError:  # decoding, or a lone surrogate in the text itself
        raise InvalidEvent(f"not UTF-8: {text[:40]!r}") from None
    if _CONTROL.search(decoded):
        raise InvalidEvent(f"control characters: {text[:40]!r}")
    return decoded
