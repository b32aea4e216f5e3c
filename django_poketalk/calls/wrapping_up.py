"""Wraps up calls: their result, a note, and when to call back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import signals
from ..conf import settings
from ..exceptions import WrapUpRefused
from ..models import CallRequest, WrapUp
from ..models.wrap_ups import NOTE_LENGTH
from ..protocol import numbers
from . import call_backs


class Changes(TypedDict, total=False):
    """What to change: the key of a result of `DISPOSITIONS`, or "" for none; the note; and when to
    remind the user to call back, or None for no reminder.
    """

    disposition: str
    note: str
    follow_up_at: datetime | None


def wrap_up(call: CallRequest, user: Any = None, **changes: Unpack[Changes]) -> WrapUp:
    """Save the `Changes` that are passed; other values do not change. Works at any time, even while
    the call is open, and any number of times.

    Raises `WrapUpRefused` for a result that is not in `DISPOSITIONS` or a note that is too long,
    and `CallRefused` for a call back that is not possible.
    """
    saved = _checked(call, changes)
    with transaction.atomic():
        row = _save(call, user, saved)
        if "follow_up_at" in changes:
            due_at = changes["follow_up_at"]
            if due_at is None:
                call_backs.drop(call)
            else:
                call_backs.follow_up(call, due_at, user, row.note)
        signals.announce(signals.wrapped_up, CallRequest, call=call, wrap_up=row, user=user)
    return row


def _checked(call: CallRequest, changes: Changes) -> dict[str, Any]:
    saved: dict[str, Any] = {}
    if "disposition" in changes:
        key = changes["disposition"]
        before: WrapUp | None = call.wrapped_up
        is_known = key in (settings.dispositions or {}) or (before and before.disposition == key)
        if key and not is_known:
            raise WrapUpRefused("disposition_unknown", _("Choose a result."), "disposition")
        saved["disposition"] = key
    if "note" in changes:
        note = changes["note"].replace("\0", "").strip()
        if not call.to_number:  # forgotten, so that nothing would mask the note later
            note = numbers.mask_in_records(note)
        if len(note) > NOTE_LENGTH:
            sentence = _("Enter a note of at most %(max)s characters.") % {"max": NOTE_LENGTH}
            raise WrapUpRefused("note_too_long", sentence, "note")
        saved["note"] = note
    return saved


def _save(call: CallRequest, user: Any, saved: dict[str, Any]) -> WrapUp:
    values = {**saved, "user": user, "updated_at": timezone.now()}
    if not WrapUp.objects.filter(call=call).update(**values):
        try:
            with transaction.atomic():
                WrapUp.objects.create(call=call, **values)
        except IntegrityError:  # saved at the same moment in another window
            WrapUp.objects.filter(call=call).update(**values)
    row = WrapUp.objects.get(call=call)
    call.wrap_up = row
    return row
