"""The one front door: ask for a call or for a quote of it, withdraw it, hang it up."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, Required, TypedDict, Unpack

from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import CallRefused, IdempotencyConflict
from ..models import CallRequest, ManualResolution
from ..protocol import numbers
from . import limits, task_publisher
from . import quote as quotes
from .quote import Quote

logger = logging.getLogger(__name__)

MOST = 2**29  # seconds, or units of the currency: within what the columns hold


class Order(TypedDict, total=False):
    """What a call is asked for with: the arguments of `request_call` but its key."""

    from_number: Required[str]
    to_number: Required[str]
    user: Any
    subject: Model | None
    max_duration: int | None
    max_cost: Decimal | None
    not_before: datetime | None
    expires_at: datetime | None


def request_call(
    *,
    from_number: str,
    to_number: str,
    user: Any = None,
    subject: Model | None = None,
    max_duration: int | None = None,
    max_cost: Decimal | None = None,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
) -> CallRequest:
    """Queue a call: leg A rings at `from_number`, and once it answers leg B at `to_number`.

    Numbers may be written in any usual way; national ones belong to `DEFAULT_REGION`. `user` is who
    asks, `subject` the object that is called about. `max_duration` (seconds) and `max_cost`
    (money) end the call; left out, the settings' limits hold. Nothing is dialled before
    `not_before` or after `expires_at` (aware datetimes; by default now, and `PLACE_WITHIN` seconds
    later). The same `idempotency_key` of the same user gives the same call back, `repeated`.

    The row is written first; a Celery worker is woken when the surrounding transaction commits, or
    by the sweep when `not_before` has come.
    Raises `CallRefused` when the call may not be made, and `IdempotencyConflict` when the key was
    used for another call. Permissions are the caller's business.
    """
    call = _draft(
        from_number=from_number,
        to_number=to_number,
        user=user,
        subject=subject,
        max_duration=max_duration,
        max_cost=max_cost,
        not_before=not_before,
        expires_at=expires_at,
    )
    call.idempotency_key = _stored_key(idempotency_key, user)
    times = {"not_before": not_before, "expires_at": expires_at}
    earlier = _earlier(call, times)
    if earlier is not None:
        return earlier
    try:
        _check(call)
        with transaction.atomic():
            call.save(force_insert=True)
    except (CallRefused, IntegrityError):
        # The same request at the same moment may have won, and even used up the limit.
        earlier = _earlier(call, times)
        if earlier is None:
            raise
        return earlier
    if call.not_before <= call.created_at:  # a later one is woken by the sweep when it is time
        transaction.on_commit(lambda: task_publisher.wake(call.pk))
    return call


def quote(**order: Unpack[Order]) -> CallRequest:
    """The call that `request_call` would make of the same now, not saved; `CallRefused` when it
    would refuse.

    Nothing is written, reserved or sent. What the service would say is not known before it is
    asked, and a limit that is free now may be used up when the call is made.
    """
    call = _draft(**order)
    _check(call)
    return call


def full_quote(**order: Unpack[Order]) -> Quote:
    """All that is known of the call that `request_call` would make of the same now: where its
    numbers are, the callee's time of day, its limits, what is left of the caps, and each reason to
    refuse it.

    Raises `CallRefused` only for what is no order: a text that is no number, a limit of nothing.
    Nothing is written, reserved or sent, as with `quote`.
    """
    call = _draft(**order)
    return quotes.of(call, _too_late(call))


def cancel(call: CallRequest, user: Any = None) -> bool:
    """Withdraw a call that has not been sent to the service. False: too late, it has."""
    return call.cancel(timezone.now(), user)


def hang_up(call: CallRequest, user: Any = None) -> bool:
    """End a call wherever it stands: withdrawn if it still waits, else with 412 at the service's
    next event.

    False: it is over, or was asked to end before.
    """
    return cancel(call, user) or call.ask_hang_up(timezone.now(), user)


def resolve(call: CallRequest, outcome: ManualResolution, user: Any = None) -> bool:
    """Say what became of a call whose outcome is unknown, as a person has found out.

    False: it is known by now, from an event or a late answer. A later event still wins.
    """
    settled = call.resolve(outcome, timezone.now())
    if settled:
        logger.info("Call %s is settled by %s: %s.", call.pk, user, outcome.value)
    return settled


def made_with(idempotency_key: str, user: Any) -> CallRequest | None:
    """The call that this user made with this key, if there is one."""
    return CallRequest.objects.filter(idempotency_key=_stored_key(idempotency_key, user)).first()


def _draft(
    *,
    from_number: str,
    to_number: str,
    user: Any = None,
    subject: Model | None = None,
    max_duration: int | None = None,
    max_cost: Decimal | None = None,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
) -> CallRequest:
    """The call as it would be stored, before any rule but those of form was asked."""
    now = timezone.now()
    starts = not_before or now
    return CallRequest(
        from_number=_e164("from_number", from_number),
        to_number=_e164("to_number", to_number),
        user=user,
        subject_type=ContentType.objects.get_for_model(subject) if subject else None,
        subject_id=str(subject.pk) if subject else "",
        max_duration=_limited("max_duration", max_duration, settings.max_duration),
        max_cost=_limited("max_cost", max_cost, settings.max_cost),
        created_at=now,
        not_before=starts,
        expires_at=expires_at or starts + timedelta(seconds=settings.place_within),
    )


def _check(call: CallRequest) -> None:
    """Refuse a call that would come too late, or that a limit forbids."""
    for refusal in _too_late(call):
        raise refusal
    limits.check(call)


def _too_late(call: CallRequest) -> Iterator[CallRefused]:
    if call.expires_at <= max(call.created_at, call.not_before):
        yield CallRefused(
            "expired", _("The call would expire before it may be placed."), "expires_at"
        )


def _e164(field: str, text: str) -> str:
    try:
        return numbers.normalise(text, settings.default_region)
    except numbers.InvalidNumber as error:
        sentence = _("“%(number)s” is not a phone number. Write it with + and country code.")
        raise CallRefused("number_invalid", sentence % {"number": text[:40]}, field) from error


def _limited(field: str, asked: Any, allowed: Any) -> Any:
    """The limit asked for, but never more than the settings allow."""
    if asked is not None:
        asked = _stored(field, asked)
    if asked is None or allowed is None:
        return allowed if asked is None else asked
    return min(asked, allowed)


def _stored(field: str, asked: Any) -> Any:
    """The limit as the row keeps it: whole seconds, or millionths of the currency."""
    is_duration = field == "max_duration"
    try:
        number = Decimal(asked)
        limit = number.quantize(Decimal(1) if is_duration else limits.MILLIONTH, ROUND_FLOOR)
        is_right = 0 < limit <= MOST and (limit == number or not is_duration)
    except (InvalidOperation, TypeError, ValueError):
        is_right = False
    if not is_right:
        raise CallRefused(
            "limit_invalid", _("A limit must be greater than zero, and not beyond reason."), field
        )
    return int(limit) if is_duration else limit


def _stored_key(key: str | None, user: Any) -> str | None:
    """Keys are each user's own, of any length and content: what is stored is a SHA-256."""
    if key is None:
        return None
    owner = "" if user is None else str(user.pk)
    return hashlib.sha256(f"{owner}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _earlier(call: CallRequest, times: dict[str, datetime | None]) -> CallRequest | None:
    """The call that was made with this key before. `IdempotencyConflict` if that was not the same
    call, or not for the same times, so far as any were asked for.
    """
    if call.idempotency_key is None:
        return None
    earlier = CallRequest.objects.filter(idempotency_key=call.idempotency_key).first()
    if earlier is None:
        return None
    asked = [field for field, moment in times.items() if moment is not None]
    if earlier.attempts and "not_before" in asked:  # which a retry has put off
        asked.remove("not_before")
    for field in (
        "from_number",
        "to_number",
        "subject_type_id",
        "subject_id",
        "max_duration",
        "max_cost",
        *asked,
    ):
        if getattr(earlier, field) != getattr(call, field):
            raise IdempotencyConflict(
                f"The idempotency key was used for another call: {field} differs."
            )
    earlier.repeated = True
    return earlier
