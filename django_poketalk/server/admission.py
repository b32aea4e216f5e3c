"""Admission: the ordered rules that turn a request into a queued call, or into the code that says
why not.

The order is 10, 20, 30, 40, 100, then what no code stands for (HTTP 400), then 50, 60, 70, 90. The
first three need nothing but the request. Whoever has no key, or asks from a wrong address, is told
just that: all that could teach an outsider about numbers, routes, reachable hosts or money comes
after. Malformed input comes before 50 since the later checks need numbers that can be read.
"""

from __future__ import annotations

import logging
import unicodedata
import uuid
from dataclasses import dataclass, field

from django.db import transaction

from django_poketalk.protocol import numbers
from django_poketalk.protocol.codes import ResponseCode

from . import destinations, ledger, rating, routing
from .conf import settings
from .models import Account, ApiKey, BlacklistedNumber, Call, Gateway, Rate, ServiceProvider

logger = logging.getLogger(__name__)

CUSTOM_LENGTH = 255  # seed, Parameters
NOT_TEXT = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came; "" for what it did not say. `address` is the client's IP address."""

    api_key: str = field(default="", repr=False)
    from_number: str = field(default="", repr=False)
    to_number: str = field(default="", repr=False)
    custom: str = ""
    eventurl: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call is queued; answer 00. `repeated`: it was before, by a request with this `custom`."""

    call: Call
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """No call: answer this code."""

    code: ResponseCode


@dataclass(frozen=True, slots=True)
class Malformed:
    """No call, and the seed has no code for it: answer HTTP 400 with this line."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request that could be read: numbers as digits, texts that can be stored."""

    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    custom: str
    eventurl: str
    address: str


def admit(asked: Asked) -> Admitted | Refused | Malformed:
    """Check the request and, if nothing speaks against it, queue its call with its first hold."""
    if missing := _missing(asked):
        return Refused(missing)
    key = identify(asked.api_key, asked.address)
    if isinstance(key, ResponseCode):
        return Refused(key)
    wanted = _read(asked)
    if isinstance(wanted, Malformed):
        return wanted
    with transaction.atomic():
        # One admission of an account at a time: funds, caps and `custom` are looked at and taken
        # in one piece.
        outcome = _place(ledger.lock(key.account_id), wanted)
    if isinstance(outcome, ResponseCode):
        return Refused(outcome)
    return outcome


def identify(api_key: str, address: str) -> ApiKey | ResponseCode:
    """The live key, if it may be used from this address; else 40 or 100.

    A right key from a wrong address is logged as a warning: it may have leaked.
    """
    key = ApiKey.find(api_key)
    if key is None:
        return ResponseCode.UNKNOWN_API_USER
    if not key.account.allows(address):
        logger.warning(
            "Key %s of account %s (%s) was used from %s, which is not on its list.",
            key,
            key.account_id,
            key.account,
            address or "an unknown address",
        )
        return ResponseCode.UNKNOWN_ADDRESS
    return key


def _missing(asked: Asked) -> ResponseCode | None:
    if not asked.api_key.strip():
        return ResponseCode.EMPTY_API_KEY
    if not _has_digits(asked.from_number):
        return ResponseCode.EMPTY_FROM
    if not _has_digits(asked.to_number):
        return ResponseCode.EMPTY_TO
    return None


def _has_digits(text: str) -> bool:
    try:
        return bool(numbers.read_wire(text))
    except numbers.InvalidNumber:
        return True


def _read(asked: Asked) -> _Wanted | Malformed:
    try:
        wanted = _Wanted(
            from_number=numbers.read_wire(asked.from_number),
            to_number=numbers.read_wire(asked.to_number),
            custom=_custom(asked.custom),
            eventurl=asked.eventurl,
            address=asked.address,
        )
        if wanted.eventurl:
            destinations.check(wanted.eventurl)
    except ValueError as error:  # InvalidNumber and DestinationRefused among them
        return Malformed(_one_line(str(error)))
    return wanted


def _custom(text: str) -> str:
    if len(text) > CUSTOM_LENGTH:
        raise ValueError(f"custom has {len(text)} characters; {CUSTOM_LENGTH} are allowed.")
    for position, character in enumerate(text, start=1):
        if unicodedata.category(character) in NOT_TEXT:
            raise ValueError(f"custom has a control character at position {position}.")
    return text


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:300]


def _place(account: Account, wanted: _Wanted) -> Admitted | ResponseCode:
    if repeated := _live_call(account, wanted.custom):
        return Admitted(repeated, repeated=True)
    provider = account.provider
    if provider is None or not provider.is_active:
        return ResponseCode.NO_SERVICE_PROVIDER
    if BlacklistedNumber.matches(account, wanted.from_number, wanted.to_number):
        return ResponseCode.BLACKLISTED
    if not _reachable(provider, wanted.from_number, wanted.to_number):
        return ResponseCode.NO_GATEWAY
    rate_a, rate_b = _rate(provider, wanted.from_number), _rate(provider, wanted.to_number)
    if rate_a is None or rate_b is None or _at_cap(account):
        return ResponseCode.NO_TIMEOUT
    return _queue(account, provider, wanted, rate_a, rate_b)


def _live_call(account: Account, custom: str) -> Call | None:
    """The live call that a repeated request means, where `custom` is unique."""
    if not settings.unique_custom or not custom:
        return None
    # Compared once more in Python: MariaDB takes "a", "A" and "a " for the same.
    found = Call.objects.live().filter(account=account, custom=custom)
    return next((call for call in found if call.custom == custom), None)


def _reachable(provider: ServiceProvider, *wire_numbers: str) -> bool:
    gateways = list(Gateway.objects.filter(provider=provider, is_active=True))
    return all(routing.gateways_for(number, gateways) for number in wire_numbers)


def _rate(provider: ServiceProvider, wire_number: str) -> Rate | None:
    fitting = Rate.objects.filter(provider=provider, prefix__in=routing.prefixes_of(wire_number))
    return max(fitting, key=lambda rate: len(rate.prefix), default=None)


def _at_cap(account: Account) -> bool:
    return account.max_live_calls is not None and (
        Call.objects.live().filter(account=account).count() >= account.max_live_calls
    )


def _queue(
    account: Account, provider: ServiceProvider, wanted: _Wanted, rate_a: Rate, rate_b: Rate
) -> Admitted | ResponseCode:
    cap = settings.max_duration
    if account.max_duration is not None:
        cap = min(cap, account.max_duration)
    a, b = rate_a.tariff, rate_b.tariff
    max_duration = rating.maximum_duration(a, b, account.funds, cap)
    if not max_duration:
        return ResponseCode.NO_TIMEOUT
    call = Call.objects.create(
        account=account,
        provider=provider,
        custom=wanted.custom or uuid.uuid4().hex,
        from_number=wanted.from_number,
        to_number=wanted.to_number,
        eventurl=wanted.eventurl,
        remote_address=wanted.address,
        rate_a=rate_a,
        rate_b=rate_b,
        max_duration=max_duration,
    )
    first_slice = min(max_duration, settings.hold)
    if not ledger.hold(call, rating.call_cost(a, b, first_slice, first_slice)):
        transaction.set_rollback(True)
        return ResponseCode.NO_TIMEOUT
    return Admitted(call)
