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
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from django_poketalk.protocol import numbers
from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.shared.text import on_one_line

from . import destinations
from .billing import ledger, rating
from .conf import settings
from .models import Account, ApiKey, BlacklistedNumber, Call, Gateway, Rate, ServiceProvider
from .routing import routes

logger = logging.getLogger(__name__)

CUSTOM_LENGTH = 255  # seed, Parameters
SECOND = timedelta(seconds=1)
NOT_TEXT = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
LONGEST_REASON = 300  # characters of what a malformed request is told


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
    try:
        outcome = _admit(key.account_id, wanted)
    except IntegrityError:  # a rate or the provider was deleted meanwhile: now it is not found
        outcome = _admit(key.account_id, wanted)
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
    if not numbers.has_digits(asked.from_number):
        return ResponseCode.EMPTY_FROM
    if not numbers.has_digits(asked.to_number):
        return ResponseCode.EMPTY_TO
    return None


def _read(asked: Asked) -> _Wanted | Malformed:
    try:
        wanted = _Wanted(
            from_number=numbers.without_trunk_zero(numbers.read_wire(asked.from_number)),
            to_number=numbers.without_trunk_zero(numbers.read_wire(asked.to_number)),
            custom=_custom(asked.custom),
            eventurl=asked.eventurl,
            address=asked.address,
        )
        if wanted.eventurl:
            destinations.check(wanted.eventurl)
    except ValueError as error:  # InvalidNumber and DestinationRefused among them
        return Malformed(on_one_line(str(error))[:LONGEST_REASON])
    return wanted


def _custom(text: str) -> str:
    if len(text) > CUSTOM_LENGTH:
        raise ValueError(f"custom has {len(text)} characters; {CUSTOM_LENGTH} are allowed.")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("custom is not UTF-8: it could not be given back as it was sent.")
    for position, character in enumerate(text, start=1):
        if unicodedata.category(character) in NOT_TEXT:
            raise ValueError(f"custom has a control character at position {position}.")
    return text


@transaction.atomic
def _admit(account_id: int, wanted: _Wanted) -> Admitted | ResponseCode:
    # One admission of an account at a time: funds, caps and `custom` are looked at and taken in
    # one piece.
    return _place(ledger.lock(account_id), wanted)


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
    rate_a, rate_b = _rates(provider, wanted.from_number, wanted.to_number)
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
    gateways = list(Gateway.objects.filter(provider=provider, is_active=True).order_by())
    return all(routes.gateways_for(number, gateways) for number in wire_numbers)


def _rates(provider: ServiceProvider, *wire_numbers: str) -> list[Rate | None]:
    """The rate of each number, in one query."""
    prefixes = {prefix for number in wire_numbers for prefix in routes.prefixes_of(number)}
    found = {rate.prefix: rate for rate in provider.rates.order_by().filter(prefix__in=prefixes)}
    longest = [routes.longest_prefix(number, found) for number in wire_numbers]
    return [None if prefix is None else found[prefix] for prefix in longest]


def _at_cap(account: Account) -> bool:
    """Whether the account has as many calls as it may. It is locked: nobody adds one meanwhile."""
    live, rate = account.max_live_calls, account.max_calls_per_second
    calls = Call.objects.filter(account=account)
    if live is not None and Call.objects.live().filter(account=account).count() >= live:
        reached = f"{live} live calls"
    elif rate is not None and (not rate or _since(calls, rate) < SECOND):
        reached = f"{rate} calls per second"
    else:
        return False
    _log_cap(account, f"it may have {reached}")
    return True


def _since(calls: QuerySet[Call], number: int) -> timedelta:
    """How long ago the call was admitted that is `number`th from the newest on."""
    admitted = calls.order_by("-id").values_list("created_at", flat=True)[number - 1 : number]
    return timezone.now() - admitted[0] if admitted else timedelta.max


def _log_cap(account: Account, why: str) -> None:
    logger.warning("Account %s (%s) is refused a call (90): %s.", account.pk, account, why)


def _queue(
    account: Account, provider: ServiceProvider, wanted: _Wanted, rate_a: Rate, rate_b: Rate
) -> Admitted | ResponseCode:
    cap = settings.max_duration
    if account.max_duration is not None:
        cap = min(cap, account.max_duration)
    a, b = rate_a.tariff, rate_b.tariff
    spendable = account.spendable(ledger.today())
    max_duration = rating.maximum_duration(a, b, spendable, cap)
    if not max_duration:
        if spendable < account.funds:
            _log_cap(
                account,
                f"{spendable} is left of the {account.max_spend_per_day} that it may spend today",
            )
        return ResponseCode.NO_TIMEOUT
    call = Call(
        account=account,
        provider=provider,
        custom=wanted.custom or uuid.uuid4().hex,
        from_number=wanted.from_number,
        to_number=wanted.to_number,
        eventurl=wanted.eventurl,
        remote_address=wanted.address,
        rate_a=rate_a,
        rate_b=rate_b,
        leg_a_billed=provider.leg_a_billed,
        max_duration=max_duration,
        duration_cap=cap,
    )
    first_slice = min(max_duration, settings.hold)
    if not ledger.queue(call, account, rating.call_cost(a, b, first_slice, first_slice)):
        return ResponseCode.NO_TIMEOUT
    return Admitted(call)
