"""What follows the made-up calls: results and notes, a due call back, and a scheduled call."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from contacts.models import Contact
from contacts.results import RESULTS
from django_poketalk.calls import call_backs, requesting
from django_poketalk.models import CallBack, CallRequest, Phone, WrapUp
from django_poketalk.protocol.codes import CallStatus

WEIGHTS = (30, 25, 25, 15, 5)  # of the results
NOTES = ("", "", "Wants a quote.", "Ask for the new catalog.", "Moves in spring.")
MOST_WRITTEN = 0.8  # of the calls in which both have talked


def wrap_ups(calls: Iterable[CallRequest]) -> Iterator[WrapUp]:
    """The wrap-ups of most calls that connected; the same for the same calls."""
    for call in calls:
        chance = random.Random(call.webcallid)  # noqa: S311  # nothing depends on it
        is_written = chance.random() < MOST_WRITTEN
        if call.status != CallStatus.AB_DISCONNECTED or call.ended_at is None or not is_written:
            continue
        at = call.ended_at + timedelta(seconds=chance.randint(5, 90))
        yield WrapUp(
            call=call,
            disposition=chance.choices(list(RESULTS), WEIGHTS)[0],
            note=chance.choice(NOTES),
            user_id=call.user_id,
            created_at=at,
            updated_at=at,
        )


def remind(user: Any, contacts: list[Contact], now: datetime) -> None:
    """A call back of this user that is due, and a call that will ring tomorrow, once."""
    if len(contacts) < 2 or CallBack.objects.filter(user=user).exists():
        return
    first, second = contacts[:2]
    due_at = now - timedelta(hours=1)
    call_backs.remind_about(
        user, first.phone, due_at, subject=first, note="Asked to be called today."
    )
    phone = Phone.objects.filter(user=user, is_default=True).first()
    if phone is not None:
        at = now + timedelta(days=1)
        requesting.request_call(
            from_number=phone.number,
            to_number=second.phone,
            user=user,
            subject=second,
            not_before=at,
            expires_at=at + call_backs.RING_WITHIN,
            requires_permission=True,
        )
