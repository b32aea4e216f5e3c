"""Call backs: reminders to call somebody, and calls that ring by themselves at that time."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import permissions
from ..conf import service, settings
from ..exceptions import CallRefused
from ..models import CallBack, CallRequest, Placement
from ..models.call_backs import NOTE_LENGTH
from ..protocol.codes import CallStatus
from . import caps, limits, redialing, requesting, services, subjects

BATCH = 500  # the most call backs that one sweep announces
RING_WITHIN = timedelta(minutes=10)  # a scheduled call back expires after that
MOST_AHEAD = timedelta(days=366)
# Trying again soon does not help then.
HOPELESS = ("unallocated_number", "no_rate", "no_funds", "rejected", "forwarded")


def remind(
    user: Any,
    to_number: str,
    due_at: datetime,
    *,
    to_extension: str = "",
    subject: Model | None = None,
    metadata: Mapping[str, Any] | None = None,
    note: str = "",
) -> CallBack:
    """Remind the user to call this number (E.164) at this time. If they will be reminded of the
    same then, such as after pressing a button twice, that call back takes the note, if any. Raises
    `CallRefused` if the time is not within a year.
    """
    call_back = CallBack(
        user=user,
        to_number=to_number,
        to_extension=to_extension,
        metadata=dict(metadata or {}),
        note=note[:NOTE_LENGTH],
        due_at=within_a_year(due_at),
    )
    call_back.subject = subject
    call_back.subject_id = str(subject.pk) if subject is not None else ""
    with transaction.atomic():
        # Requests of a user at the same moment wait for each other.
        get_user_model()._base_manager.select_for_update().get(pk=user.pk)
        existing = CallBack.objects.waiting().filter(
            user=user,
            due_at=due_at,
            to_number=to_number,
            to_extension=to_extension,
            subject_type_id=call_back.subject_type_id,
            subject_id=call_back.subject_id,
        )
        if (found := existing.first()) is None:
            call_back.save(force_insert=True)
            return call_back
        if call_back.note:
            found.move(due_at, note=call_back.note)
    return found


def remind_about(
    user: Any,
    written: str,
    due_at: datetime,
    *,
    to_extension: str = "",
    subject: Model | None = None,
    metadata: Mapping[str, Any] | None = None,
    note: str = "",
) -> CallBack:
    """Remind the user to call this number at this time. `written` is the number in any usual
    format, with or without an extension. If the user already has a reminder of the same number and
    subject at this time, that call back gets the note and is returned.

    Raises `CallRefused` if the number or the metadata is not valid, or the time is not within a
    year.
    """
    region = services.region_for(user, subject)
    number, digits = requesting.read_callee(written, to_extension, region)
    return remind(
        user,
        number,
        due_at,
        to_extension=digits,
        subject=subject,
        metadata=requesting.read_metadata(metadata),
        note=note,
    )


def follow_up(call: CallRequest, due_at: datetime, user: Any, note: str | None = None) -> CallBack:
    """Remind the call's user, or `user` if it has none, to call back after this call. There is one
    call back after a call: another time moves it. Raises `CallRefused` if the number of the call
    was deleted, or if the time is not within a year.
    """
    if not call.to_number:
        raise CallRefused("forgotten", _("The numbers of this call were deleted."))
    changes: dict[str, Any] = {} if note is None else {"note": note[:NOTE_LENGTH]}
    existing: CallBack | None = call.follow_up
    if existing is None:
        made = CallBack(
            user_id=call.user_id or user.pk,
            to_number=call.to_number,
            to_extension=call.to_extension,
            subject_type_id=call.subject_type_id,
            subject_id=call.subject_id,
            metadata=call.metadata,
            due_at=within_a_year(due_at),
            after=call,
            **changes,
        )
        try:
            with transaction.atomic():
                made.save(force_insert=True)
            return made
        except IntegrityError:  # set at the same moment in another window
            existing = CallBack.objects.get(after=call)
    if due_at != existing.due_at:
        within_a_year(due_at)
        existing.reopen()
    existing.move(due_at, **changes)
    call.call_back = existing
    return existing


def drop(call: CallRequest) -> bool:
    """Delete the call back after this call, unless it is done. False if there is none."""
    deleted, _by_model = CallBack.objects.waiting().filter(after=call).delete()
    if deleted:
        call.call_back = None  # no longer cached
    return bool(deleted)


def finish(pk: int, user: Any, call: CallRequest) -> None:
    """Mark this user's call back as done by this call, if it is not done yet."""
    found = CallBack.objects.filter(pk=pk, user=user).first()
    if found is not None:
        found.finish(timezone.now(), call)


def announce_due(now: datetime) -> int:
    """Send `callback_due` for each call back whose time has come, once. Returns how many."""
    due = CallBack.objects.to_announce(now).select_related("user").order_by("due_at")
    return sum(call_back.remind(now) for call_back in due[:BATCH])


def ring(call: CallRequest, at: datetime, user: Any) -> CallRequest:
    """Schedule the call again: both phones ring at this time, if the rules still allow it. While
    the scheduled call is open, this moves it. Raises `CallRefused`.
    """
    made = redialing.call_again(
        call, user, not_before=within_a_year(at), expires_at=at + _ring_within(call)
    )
    if made.repeated and made.not_before != at:
        reschedule(made, at)
    return made


def may_try_again(call: CallRequest, user: Any) -> bool:
    """Whether to offer the user to call again in `RETRY_AFTER` seconds: if a phone of their call
    was not reached, and is not yet being called again.
    """
    return (
        settings.retry_after is not None
        and call.user_id is not None
        and call.user_id == user.pk
        and not call.is_open
        and call.status in (CallStatus.A_FAILED, CallStatus.B_FAILED)
        and call.hangup_cause not in HOPELESS
        and bool(call.to_number)
    )


def try_again(call: CallRequest, user: Any) -> CallRequest:
    """Call again in `RETRY_AFTER` seconds. Raises `CallRefused`, also for quiet hours at that
    time.
    """
    delay = timedelta(seconds=settings.retry_after or 0)
    made = redialing.next_open(call, user)
    return made or ring(call, timezone.now() + delay, user)


def reschedule(call: CallRequest, at: datetime) -> bool:
    """Let a scheduled call ring at another time. False if it was sent or canceled meanwhile. Raises
    `CallRefused` if the rules forbid it at that time.
    """
    at = max(within_a_year(at), timezone.now())
    subjects.load([call])
    moved = copy(call)
    moved.rings_at = at
    for refusal in limits.refusals(moved):
        raise refusal
    waiting = CallRequest.objects.open().filter(
        placement=Placement.QUEUED, attempts=0, rings_at=call.rings_at
    )
    length = call.expires_at - call.not_before
    changes = {"not_before": at, "rings_at": at, "expires_at": at + length}
    with transaction.atomic():
        for refusal in limits.reached(caps.caps(moved, lock=True)):
            if refusal.code not in caps.OF_LIVE:  # it waits for those when it is due
                raise refusal
        return call.update_if(waiting, **changes, response_detail="")


def scheduled(user: Any) -> Any:
    """The user's calls that will ring by themselves, the next one first."""
    now = timezone.now()
    own = permissions.own_calls(user).open().filter(placement=Placement.QUEUED, attempts=0)
    return own.filter(expires_at__gt=now, rings_at__gt=now - RING_WITHIN).order_by("rings_at")


def within_a_year(at: datetime) -> datetime:
    """The time. Raises `CallRefused` if it is further away."""
    if abs(at - timezone.now()) > MOST_AHEAD:
        raise CallRefused("time_invalid", _("Choose a time within a year."), "due_at")
    return at


def _ring_within(call: CallRequest) -> timedelta:
    return max(RING_WITHIN, timedelta(seconds=service(call.service).place_within))
