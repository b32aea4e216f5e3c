"""Requests calls and quotes, cancels calls, and hangs them up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from itertools import chain
from typing import Any, Required, TypedDict, Unpack

from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import signals
from ..backends import can_ask
from ..conf import service
from ..exceptions import CallRefused, IdempotencyConflict
from ..models import CallMetadata, CallRequest, ManualResolution
from ..models.metadata import MOST_BYTES, clean_metadata
from ..models.phones import read_phone
from ..protocol import numbers
from ..shared.logs import about_call, get_logger
from ..shared.number_errors import explain
from . import (
    caller_ids,
    caller_phones,
    caps,
    limits,
    required_results,
    services,
    subjects,
    task_publisher,
)
from . import quote as quotes
from .caller_phones import own_number
from .quote import Quote

__all__ = [
    "MOST",
    "Order",
    "cancel",
    "hang_up",
    "made_with",
    "own_number",
    "quote",
    "request_call",
    "resolve",
]

logger = get_logger(__name__)

EXTENSION = re.compile(rf"[0-9]{{0,{numbers.MAX_EXTENSION}}}")
MOST = 2**29  # seconds, or units of the currency: what the columns can hold


class Order(TypedDict, total=False):
    """What a call is requested with.

    `from_number` is the caller's phone, which rings first, and `to_number` the callee's. Numbers
    may be written in any usual form; national ones belong to `DEFAULT_REGION`. `from_number` may
    also be an internal number that `INTERNAL_NUMBERS` allows. `to_number` may have an extension, as
    in `020 7946 0123 ext. 12`, unless it is in `to_extension`. `caller_id` is the number that the
    callee's phone displays: by default that of the setting, "" for the service's choice. It must be
    a number that the service has verified for its account. `user` requests the call, `subject` is
    the object it is about, and `metadata` a JSON object of your own, of at most 1 KiB, such as
    `{"deal": 7}`. `max_duration` (seconds) and `max_cost` (money) end the call, but never later
    than the settings allow. Nothing is dialed before `not_before` or after `expires_at` (aware
    datetimes; by default now, and `PLACE_WITHIN` seconds later). With `requires_permission`, the
    user must have the permission to place calls, now and when the call is sent, and a scheduled
    call must ring a phone of their own first, or one that they may choose.
    """

    from_number: Required[str]
    to_number: Required[str]
    to_extension: str
    caller_id: Any
    user: Any
    subject: Model | None
    metadata: dict[str, Any] | None
    max_duration: int | None
    max_cost: Decimal | None
    not_before: datetime | None
    expires_at: datetime | None
    requires_permission: bool


def request_call(*, idempotency_key: str | None = None, **order: Unpack[Order]) -> CallRequest:
    """Queue a call. The arguments are those of `Order`.

    The same `idempotency_key` of the same user returns the same call again, marked `repeated`.

    The row is written first. A Celery worker is woken when the surrounding transaction commits, or
    by the sweep once `not_before` has come.

    Raises `CallRefused` if the call is not allowed, and `IdempotencyConflict` if the key was used
    for another call. Permissions are only checked if `requires_permission` is set.
    """
    call = _draft(order)
    call.idempotency_key = _stored_key(idempotency_key, call.user)
    earlier = _earlier(call, order)
    if earlier is not None:
        return earlier
    try:
        for refusal in chain(_refusals_of_order(call), limits.refusals(call)):
            raise refusal
        with transaction.atomic():
            for refusal in limits.reached(caps.caps(call, lock=True)):
                raise refusal
            call.save(force_insert=True)
            if call.metadata:
                CallMetadata.objects.create(call=call, data=call.metadata)
            signals.announce(signals.call_requested, CallRequest, call=call)
    except (CallRefused, IntegrityError):
        # The same request at the same moment may have won, and even used up the limit.
        earlier = _earlier(call, order)
        if earlier is None:
            raise
        return earlier
    if not call.is_scheduled:  # the sweep wakes the others
        transaction.on_commit(lambda: task_publisher.wake(call.pk))
    return call


def quote(**order: Unpack[Order]) -> Quote:
    """What `request_call` would do now: the call and its limits, the countries of its numbers, the
    callee's local time, the caps that apply, and all reasons to refuse the call.

    Raises `CallRefused` only if a number or limit is invalid. Nothing is written, reserved or sent,
    and the service is not contacted. A cap with room now may be used up when the call is requested.
    """
    call = _draft(order)
    return quotes.of(call, _refusals_of_order(call))


def cancel(call: CallRequest, user: Any = None) -> bool:
    """Cancel a call that has not been sent to the service. False if it has."""
    with transaction.atomic():
        canceled = call.cancel(timezone.now(), user)
        if canceled:
            signals.announce(signals.hang_up_requested, CallRequest, call=call, user=user)
    return canceled


def hang_up(call: CallRequest, user: Any = None) -> bool:
    """End a call: cancel it if it is still queued, else ask the service to end it, if the backend
    can, and answer its next event with 412.

    False if the call has ended or is already ending. Never waits for the service.
    """
    if cancel(call, user):
        return True
    if not call.request_hang_up(timezone.now(), user):
        return False
    signals.announce(signals.hang_up_requested, CallRequest, call=call, user=user)
    if can_ask(call.service):
        transaction.on_commit(lambda: task_publisher.hang_up(call.pk))
    return True


def resolve(call: CallRequest, outcome: ManualResolution, user: Any = None) -> bool:
    """Resolve a call with an unknown outcome manually. Later events still override it.

    False if the outcome is known by now, from an event or a late answer.
    """
    resolved = call.resolve(outcome, timezone.now())
    if resolved:
        with about_call(call.pk, "resolve", call.service):
            logger.info("Call %s was resolved by %s: %s.", call.pk, user, outcome.value)
    return resolved


def made_with(idempotency_key: str, user: Any) -> CallRequest | None:
    """The call that this user requested with this key, if any."""
    return CallRequest.objects.filter(idempotency_key=_stored_key(idempotency_key, user)).first()


def _draft(order: Order) -> CallRequest:
    """The call, not saved. Only checks the format of the arguments."""
    now = timezone.now()
    starts = order.get("not_before") or now
    subject = order.get("subject")
    region = services.region_for(order.get("user"), subject)
    to_number, to_extension = read_callee(
        order["to_number"], order.get("to_extension") or "", region
    )
    call = CallRequest(
        from_number=_caller_phone(order["from_number"]),
        to_number=to_number,
        to_extension=to_extension,
        chose_caller_id=order.get("caller_id") is not None,
        user=order.get("user"),
        subject_type=ContentType.objects.get_for_model(subject) if subject else None,
        subject_id=str(subject.pk) if subject else "",
        created_at=now,
        not_before=starts,
        rings_at=max(now, starts),
        requires_permission=order.get("requires_permission", False),
    )
    call.metadata = read_metadata(order.get("metadata"))
    subjects.remember(call, subject)
    call.service = services.choose(call)
    rules = service(call.service)
    call.max_duration = _limited("max_duration", order.get("max_duration"), rules.max_duration)
    call.max_cost = _limited("max_cost", order.get("max_cost"), rules.max_cost)
    call.expires_at = order.get("expires_at") or starts + timedelta(seconds=rules.place_within)
    call.presented_number = caller_ids.choose(call, order.get("caller_id"))
    return call


def read_metadata(given: Any) -> dict[str, Any]:
    """The metadata as JSON stores it. Raises `CallRefused` if it is not valid."""
    try:
        return clean_metadata(given)
    except ValueError as error:
        sentence = _("The metadata must be a JSON object of at most %(max)s bytes.")
        raise CallRefused("metadata_invalid", sentence % {"max": MOST_BYTES}, "metadata") from error


def _refusals_of_order(call: CallRequest) -> Iterator[CallRefused]:
    """Of a call that would expire too early, of a scheduled one, whose phone is checked again when
    it is sent, and of one whose user has to choose the result of their last call first.
    """
    if call.expires_at <= call.rings_at:
        yield CallRefused(
            "expired", _("The call would expire before it can be placed."), "expires_at"
        )
    if call.is_scheduled and (refusal := caller_phones.refusal(call)):
        yield refusal
    yield from required_results.refusals(call)


def _caller_phone(number: Any) -> str:
    try:
        return read_phone(number)
    except numbers.InvalidNumber as error:
        raise CallRefused("number_invalid", explain(error), "from_number") from error


def read_callee(number: Any, extension: str, region: str | None) -> tuple[str, str]:
    """The E.164 number and the digits of its extension, which may be in either text."""
    try:
        reading = numbers.read(number, region)
    except numbers.InvalidNumber as error:
        raise CallRefused("number_invalid", explain(error), "to_number") from error
    digits = numbers.clean(str(extension)) or reading.extension
    if reading.extension not in ("", digits) or not EXTENSION.fullmatch(digits):
        sentence = _("Enter one extension, with at most %(max)s digits.")
        words = {"max": numbers.MAX_EXTENSION}
        raise CallRefused("extension_invalid", sentence % words, "to_extension")
    return reading.e164, digits


def _limited(field: str, requested: Any, allowed: Any) -> Any:
    """The requested limit, capped by the setting; None is no limit."""
    if requested is None:
        return allowed
    limit = _stored(field, requested)
    return limit if allowed is None else min(limit, allowed)


def _stored(field: str, requested: Any) -> Any:
    """The limit as it is stored: whole seconds, or millionths of the currency."""
    is_duration = field == "max_duration"
    try:
        number = Decimal(requested)
        limit = number.quantize(Decimal(1) if is_duration else caps.MILLIONTH, ROUND_FLOOR)
        is_valid = 0 < limit <= MOST and (limit == number or not is_duration)
    except (InvalidOperation, TypeError, ValueError):
        is_valid = False
    if not is_valid:
        sentence = _("Enter a limit greater than zero and at most %(max)s.")
        raise CallRefused("limit_invalid", sentence % {"max": MOST}, field)
    return int(limit) if is_duration else limit


def _stored_key(key: str | None, user: Any) -> str | None:
    """The SHA-256 that is stored. Keys are separate for each user, and of any length."""
    if key is None:
        return None
    owner = "" if user is None else str(user.pk)
    return hashlib.sha256(f"{owner}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _earlier(call: CallRequest, order: Order) -> CallRequest | None:
    """The call that was requested with this key before, if any. Raises `IdempotencyConflict` if it
    differs from this one. Times only count if the order names them.
    """
    if call.idempotency_key is None:
        return None
    earlier = CallRequest.objects.filter(idempotency_key=call.idempotency_key).first()
    if earlier is None:
        return None
    compared = ["from_number", "to_number", "to_extension", "subject_type_id", "subject_id"]
    compared += ["max_duration", "max_cost"]
    if order.get("caller_id") is not None:
        compared.append("presented_number")
    if order.get("not_before") is not None and not earlier.attempts:  # a retry postpones it
        compared.append("not_before")
    if order.get("expires_at") is not None:
        compared.append("expires_at")
    if order.get("metadata") is not None:
        compared.append("metadata")
    for field in compared:
        if getattr(earlier, field) != getattr(call, field):
            raise IdempotencyConflict(
                f"The idempotency key was used for another call: {field} differs."
            )
    earlier.repeated = True
    return earlier
