"""Admission: the ordered rules that turn a request into a queued call, or into the response code
that says why there is none.

The order is 10, 20, 30, 40, 100, then HTTP 400 for what has no code, then 50, 60, 70, 90. The first
three need only the request. A client without a valid key, or at an address that is not allowed,
learns just that: everything that reveals numbers, routes, reachable hosts or money comes later.
Malformed input comes before 50, because the later rules need readable numbers.
"""

from __future__ import annotations

import dataclasses
import unicodedata
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from django_poketalk.protocol import form_extensions, numbers, reasons
from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.shared import deadline
from django_poketalk.shared.logs import get_logger
from django_poketalk.shared.text import on_one_line

from . import destinations
from .billing import ledger, rating
from .billing.price_lookup import rates_for
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

logger = get_logger(__name__)

CUSTOM_LENGTH = 255  # the protocol's limit
SECOND = timedelta(seconds=1)
NOT_TEXT = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
BAD_EXTENSION = (
    f"{form_extensions.TO_EXTENSION_FIELD} must be digits, with w or , for pauses, and at most"
    f" {form_extensions.MAX_TO_EXTENSION} characters."
)
SAME_NUMBER = "from and to are the same number."
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
        if from_number == to_number:
            raise ValueError(SAME_NUMBER)
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
    """There is no call. The response is this code. `reason` says which of its reasons it had."""

    code: ResponseCode
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """There is no call, and the protocol has no code for the reason. The response is HTTP 400 with
    this line.
    """

    reason: str


Answer = Admitted | Refused | Malformed


def admit(form: CallForm) -> Answer:
    """Check the request and, if every rule allows it, queue its call with its first hold.

    `Overdue` if its deadline has passed: the response already said that there is no call.
    """
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
    except IntegrityError:
        # A rate or the provider was deleted in the meantime: try again without it.
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
    key.record_use(address)
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
        raise ValueError(f"{form_extensions.CALLER_ID_FIELD} is not a phone number.")
    found = PresentedNumber.choose(account, chosen)
    if chosen and found is None:
        raise ValueError(
            f"{form_extensions.CALLER_ID_FIELD} is not a verified number of this account."
        )
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
def _queue_call(account_id: int, form: CallForm) -> Answer:
    """Apply the rules that need the account, and queue the call.

    The account stays locked, so that no other request changes its calls and funds in between.
    """
    account = ledger.lock(account_id)
    if repeated := _live_call(account, form):
        return Admitted(repeated, repeated=True)
    provider = account.provider
    if provider is None or not provider.is_active:
        return Refused(ResponseCode.NO_SERVICE_PROVIDER)
    if BlacklistedNumber.matches(account, form.from_number, form.to_number):
        return Refused(ResponseCode.BLACKLISTED)
    gateways = list(Gateway.objects.filter(provider=provider, is_active=True).order_by())
    legs = [routes.gateways_for(each, gateways) for each in (form.from_number, form.to_number)]
    pairs = routes.pairs(*legs)
    if not pairs:
        return Refused(ResponseCode.NO_GATEWAY)
    if form.to_extension and not any(gateway_b.dials_extensions for _, gateway_b in pairs):
        return Malformed(NO_DIALING_GATEWAY)
    day = ledger.day_of(account.locked_at)
    rate_a, rate_b = rates_for(account, day, form.from_number, form.to_number)
    if rate_a is None or rate_b is None:
        return Refused(ResponseCode.NO_TIMEOUT, reasons.NO_RATE)
    if reached := _cap_reached(account):
        return Refused(ResponseCode.NO_TIMEOUT, reached)
    call = _new_call(account, provider, form, rate_a, rate_b)
    first_slice = min(call.max_duration, settings.hold)
    hold = rating.call_cost(rate_a.tariff, rate_b.tariff, first_slice, first_slice)
    if not call.max_duration or not ledger.queue(call, account, hold):
        return Refused(ResponseCode.NO_TIMEOUT, _lacking(account))
    if deadline.is_over():
        raise deadline.Overdue  # which undoes it
    return Admitted(call)


def _live_call(account: Account, form: CallForm) -> Call | None:
    """The live call that a request repeats: one with the same `custom` and, unless `UNIQUE_CUSTOM`
    is set, the same numbers. So a client that got no answer can repeat its request.
    """
    if not form.custom:
        return None
    found = Call.objects.live().filter(account=account, custom=form.custom)
    if not settings.unique_custom:
        found = found.filter(from_number=form.from_number, to_number=form.to_number)
    # Compared again in Python: for MariaDB, "a", "A" and "a " are equal.
    return next((call for call in found if call.custom == form.custom), None)


def _cap_reached(account: Account) -> str:
    """Which limit the account, which is locked, has reached with its calls; "" if none."""
    live, rate = account.max_live_calls, account.max_calls_per_second
    calls = Call.objects.filter(account=account)
    if live is not None and Call.objects.live().filter(account=account).count() >= live:
        _log_cap(account, f"it is at its limit of {live} live calls")
        return reasons.LIVE_CALLS
    if rate is not None and (not rate or _age(calls, rate, account.locked_at) < SECOND):
        _log_cap(account, f"it is at its limit of {rate} calls per second")
        return reasons.CALLS_PER_SECOND
    return ""


def _lacking(account: Account) -> str:
    """Why the account cannot pay for the call: its limit for today, or its funds."""
    spendable = account.spendable(ledger.day_of(account.locked_at))
    return reasons.SPEND_PER_DAY if spendable < account.funds else reasons.NO_FUNDS


def _age(calls: QuerySet[Call], position: int, now: datetime) -> timedelta:
    """The time since admission of the call at this position, counted from the newest (1)."""
    admitted = calls.order_by("-id").values_list("created_at", flat=True)[position - 1 : position]
    return now - admitted[0] if admitted else timedelta.max


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
    spendable = account.spendable(ledger.day_of(account.locked_at))
    max_duration = rating.maximum_duration(rate_a.tariff, rate_b.tariff, spendable, cap)
    if not max_duration and spendable < account.funds:
        _log_cap(account, f"{spendable} is left of its {account.max_spend_per_day} for today")
    return Call(
        account=account,
        provider=provider,
        custom=form.custom or uuid.uuid4().hex,
        created_at=account.locked_at,
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
        turn=Call.objects.next_turn(account),
    )
