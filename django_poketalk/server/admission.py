"""Admission: the ordered rules that turn a request into a queued call, or into the response code
that says why there is none.

The order is 10, 20, 30, 40, 100, then HTTP 400 for what has no code, then 50, 60, 70, 90. The first
three need only the request. A client without a valid key, or at an address that is not allowed,
learns just that: everything that reveals numbers, routes, reachable hosts or money comes later.
Malformed input comes before 50, because the later rules need readable numbers.
"""

from __future__ import annotations

import dataclasses
import logging
import unicodedata
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from django_poketalk.protocol import form_extensions, numbers
from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.shared.text import on_one_line

from . import destinations
from .billing import ledger, rating
from .conf import settings
from .models import (
    Account,
    ApiKey,
    BlacklistedNumber,
    Call,
    Gateway,
    PresentedNumber,
    Rate,
    ServiceProvider,
)
from .routing import routes

logger = logging.getLogger(__name__)

CUSTOM_LENGTH = 255  # the protocol's limit
SECOND = timedelta(seconds=1)
NOT_TEXT = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
BAD_EXTENSION = (
    f"{form_extensions.TO_EXTENSION_FIELD} must be digits, with w or , for pauses, and at most"
    f" {form_extensions.MAX_TO_EXTENSION} characters."
)
NO_DIALING_GATEWAY = "No gateway can dial an extension."
REASON_LENGTH = 300  # characters of the answer to a malformed request


@dataclass(frozen=True, slots=True)
class CallForm:
    """A request for a call: the fields of the form, "" for a missing one, and the client's IP
    address.
    """

    api_key: str = field(default="", repr=False)
    from_number: str = field(default="", repr=False)
    to_number: str = field(default="", repr=False)
    custom: str = ""
    eventurl: str = ""
    to_extension: str = field(default="", repr=False)
    address: str = ""
    caller_id: str = ""

    @property
    def missing(self) -> ResponseCode | None:
        """The code of the first required field that is empty: 10, 20 or 30."""
        if not self.api_key.strip():
            return ResponseCode.EMPTY_API_KEY
        if not numbers.has_digits(self.from_number):
            return ResponseCode.EMPTY_FROM
        if not numbers.has_digits(self.to_number):
            return ResponseCode.EMPTY_TO
        return None

    def cleaned(self, account: Account) -> CallForm:
        """The same with all numbers as digits. `ValueError` names the first malformed field."""
        from_number = _read_from(self.from_number, account)
        to_number = numbers.read_wire(self.to_number)
        caller_id = _presented(self.caller_id, account)
        if self.to_extension and not form_extensions.is_to_extension(self.to_extension):
            raise ValueError(BAD_EXTENSION)
        _check_custom(self.custom)
        if self.eventurl:
            destinations.check(self.eventurl)
        return dataclasses.replace(
            self, from_number=from_number, to_number=to_number, caller_id=caller_id
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call is queued. The response is 00. `repeated`: an earlier request with this `custom`
    queued it.
    """

    call: Call
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no call. The response is this code."""

    code: ResponseCode


@dataclass(frozen=True, slots=True)
class Malformed:
    """There is no call, and the protocol has no code for the reason. The response is HTTP 400 with
    this line.
    """

    reason: str


def admit(form: CallForm) -> Admitted | Refused | Malformed:
    """Check the request and, if every rule allows it, queue its call with its first hold."""
    if form.missing:
        return Refused(form.missing)
    key = identify(form.api_key, form.address)
    if isinstance(key, ResponseCode):
        return Refused(key)
    try:
        cleaned = form.cleaned(key.account)
    except ValueError as error:  # includes InvalidNumber and DestinationRefused
        return Malformed(on_one_line(str(error))[:REASON_LENGTH])
    try:
        return _queue_call(key.account_id, cleaned)
    except (
        IntegrityError
    ):  # a rate or the provider was deleted in the meantime: try again without it
        return _queue_call(key.account_id, cleaned)


def identify(api_key: str, address: str) -> ApiKey | ResponseCode:
    """The live key, if it may be used from this address; else 40 or 100.

    A valid key at an address that is not allowed is logged as a warning: it may have leaked.
    """
    key = ApiKey.find(api_key)
    if key is None:
        return ResponseCode.UNKNOWN_API_USER
    if not key.account.allows(address):
        logger.warning(
            "Key %s of account %s (%s) was used from %s, which is not an allowed address.",
            key,
            key.account_id,
            key.account,
            address or "an unknown address",
        )
        return ResponseCode.UNKNOWN_ADDRESS
    return key


def _read_from(text: str, account: Account) -> str:
    """The caller's phone as digits: as it is if it is an internal number and the account may call
    from those.
    """
    if account.internal_numbers and numbers.is_internal(text):
        if numbers.is_emergency(text):
            raise ValueError(f"{text} is an emergency number.")
        return text
    return numbers.read_wire(text)


def _presented(text: str, account: Account) -> str:
    """The presented number that the request chooses, or the account's default, as digits; "" if
    there is neither. The error is the same whether another account owns the number or nobody.
    """
    chosen = numbers.read_wire(text)
    if text and not chosen:
        raise ValueError("x_caller_id is not a phone number.")
    found = PresentedNumber.choose(account, chosen)
    if chosen and found is None:
        raise ValueError("x_caller_id is not a verified number of this account.")
    return found.number if found else ""


def _check_custom(text: str) -> None:
    if len(text) > CUSTOM_LENGTH:
        raise ValueError(f"custom has {len(text)} characters; {CUSTOM_LENGTH} are allowed.")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("custom is not valid UTF-8.")
    for position, character in enumerate(text, start=1):
        if unicodedata.category(character) in NOT_TEXT:
            raise ValueError(f"custom has a control character at position {position}.")


@transaction.atomic
def _queue_call(account_id: int, form: CallForm) -> Admitted | Refused | Malformed:
    """Apply the rules that need the account, and queue the call.

    The account stays locked, so that no other request changes its calls and funds in between.
    """
    account = ledger.lock(account_id)
    if repeated := _live_call(account, form.custom):
        return Admitted(repeated, repeated=True)
    provider = account.provider
    if provider is None or not provider.is_active:
        return Refused(ResponseCode.NO_SERVICE_PROVIDER)
    if BlacklistedNumber.matches(account, form.from_number, form.to_number):
        return Refused(ResponseCode.BLACKLISTED)
    gateways = list(Gateway.objects.filter(provider=provider, is_active=True).order_by())
    if not all(routes.gateways_for(each, gateways) for each in (form.from_number, form.to_number)):
        return Refused(ResponseCode.NO_GATEWAY)
    if form.to_extension and not _can_dial_extension(form, gateways):
        return Malformed(NO_DIALING_GATEWAY)
    rate_a, rate_b = _rates(provider, form.from_number, form.to_number)
    if rate_a is None or rate_b is None or _at_cap(account):
        return Refused(ResponseCode.NO_TIMEOUT)
    call = _new_call(account, provider, form, rate_a, rate_b)
    first_slice = min(call.max_duration, settings.hold)
    hold = rating.call_cost(rate_a.tariff, rate_b.tariff, first_slice, first_slice)
    if not call.max_duration or not ledger.queue(call, account, hold):
        return Refused(ResponseCode.NO_TIMEOUT)
    return Admitted(call)


def _live_call(account: Account, custom: str) -> Call | None:
    """The live call that a request with this `custom` repeats, if `UNIQUE_CUSTOM` is set."""
    if not settings.unique_custom or not custom:
        return None
    # Compared again in Python: for MariaDB, "a", "A" and "a " are equal.
    found = Call.objects.live().filter(account=account, custom=custom)
    return next((call for call in found if call.custom == custom), None)


def _can_dial_extension(form: CallForm, gateways: list[Gateway]) -> bool:
    """Whether a gateway for leg B can dial it, and leg A has a gateway of the same kind."""
    kinds = {gateway.kind for gateway in routes.gateways_for(form.from_number, gateways)}
    return any(
        gateway.dials_extensions and gateway.kind in kinds
        for gateway in routes.gateways_for(form.to_number, gateways)
    )


def _rates(provider: ServiceProvider, *wire_numbers: str) -> list[Rate | None]:
    """The rate of each number, in one query."""
    prefixes = {prefix for number in wire_numbers for prefix in routes.prefixes_of(number)}
    rates = provider.rates.order_by().filter(prefix__in=prefixes)
    found = {(rate.is_internal, rate.prefix): rate for rate in rates}
    longest = [routes.longest_of_kind(number, found) for number in wire_numbers]
    return [None if prefix is None else found[prefix] for prefix in longest]


def _at_cap(account: Account) -> bool:
    """Whether the account, which is locked, has as many calls as it may have."""
    live, rate = account.max_live_calls, account.max_calls_per_second
    calls = Call.objects.filter(account=account)
    if live is not None and Call.objects.live().filter(account=account).count() >= live:
        _log_cap(account, f"it is at its limit of {live} live calls")
        return True
    if rate is not None and (not rate or _age(calls, rate) < SECOND):
        _log_cap(account, f"it is at its limit of {rate} calls per second")
        return True
    return False


def _age(calls: QuerySet[Call], position: int) -> timedelta:
    """The time since admission of the call at this position, counted from the newest (1)."""
    admitted = calls.order_by("-id").values_list("created_at", flat=True)[position - 1 : position]
    return timezone.now() - admitted[0] if admitted else timedelta.max


def _log_cap(account: Account, why: str) -> None:
    logger.warning("Account %s (%s) is refused a call (90): %s.", account.pk, account, why)


def _new_call(
    account: Account, provider: ServiceProvider, form: CallForm, rate_a: Rate, rate_b: Rate
) -> Call:
    """The call, not saved. Its maximum duration is 0 if the account cannot pay for the shortest
    call.
    """
    cap = settings.max_duration
    if account.max_duration is not None:
        cap = min(cap, account.max_duration)
    spendable = account.spendable(ledger.today())
    max_duration = rating.maximum_duration(rate_a.tariff, rate_b.tariff, spendable, cap)
    if not max_duration and spendable < account.funds:
        _log_cap(account, f"{spendable} is left of its {account.max_spend_per_day} for today")
    return Call(
        account=account,
        provider=provider,
        custom=form.custom or uuid.uuid4().hex,
        from_number=form.from_number,
        to_number=form.to_number,
        presented_number=form.caller_id,
        eventurl=form.eventurl,
        to_extension=form.to_extension,
        remote_address=form.address,
        rate_a=rate_a,
        rate_b=rate_b,
        leg_a_billed=provider.leg_a_billed,
        max_duration=max_duration,
        duration_cap=cap,
    )
