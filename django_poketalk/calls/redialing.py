"""Calling again: requests another call between the same phones, about the same object."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from .. import permissions
from ..exceptions import CallRefused
from ..models import CallRequest, Placement
from ..protocol import numbers
from . import caller_phones, requesting, subjects

UNSENT = (Placement.REJECTED, Placement.CANCELLED, Placement.EXPIRED, Placement.FAILED)
MOST_LINKS = 100  # the longest chain of calls that were each called again


def never_rang(call: CallRequest) -> bool:
    """Whether it is certain that no phone rang: the request was refused or never sent, and no event
    was received.
    """
    return call.placement in UNSENT and call.status is None


def call_again(call: CallRequest, user: Any) -> CallRequest:
    """Request the same call for this user: with the same numbers, subject and limits.

    As long as the new call is open, further calls of this function return it, marked `repeated`.
    Check `never_rang` first if nobody should be called twice.

    Raises `CallRefused` like `request_call`, and if the user may not place the call. The error
    masks numbers that the user may not see.
    """
    try:
        return _place(call, user)
    except CallRefused as refusal:
        whole = permissions.may_see_numbers(user, call)
        sentence = _masked(str(refusal.sentence), call, whole)
        raise CallRefused(refusal.code, sentence, refusal.field) from refusal


def _place(call: CallRequest, user: Any) -> CallRequest:
    _check(call, user)
    key, still_open = _next_key(call, user)
    if still_open is not None:
        return still_open
    subjects.load([call])
    return requesting.request_call(
        from_number=call.from_number,
        to_number=call.to_number,
        to_extension=call.to_extension,
        user=user,
        subject=call.subject,
        max_duration=call.max_duration,
        max_cost=call.max_cost,
        idempotency_key=key,
    )


def _check(call: CallRequest, user: Any) -> None:
    """Raise `CallRefused` if the user may not place the call, or if its numbers were erased."""
    if not permissions.may_place(user):
        raise CallRefused("not_allowed", _("You are not allowed to place calls."))
    if not call.from_number or not call.to_number:
        raise CallRefused("forgotten", _("The numbers of this call were deleted."))
    may_choose = permissions.may_choose_caller(user)
    if not may_choose and not caller_phones.is_own(user, call.from_number):
        raise CallRefused(
            "not_allowed",
            _("You are not allowed to choose which phone rings first."),
            "from_number",
        )


def _next_key(call: CallRequest, user: Any) -> tuple[str, CallRequest | None]:
    """The idempotency key for this user's next call in place of this one, and the previous such
    call if it is still open.
    """
    key = f"again {call.pk}"
    for _link in range(MOST_LINKS):
        made = requesting.made_with(key, user)
        if made is None:
            break
        if made.is_open:
            made.repeated = True
            return key, made
        key = f"again {made.pk}"
    return key, None


def _masked(sentence: str, call: CallRequest, whole: bool) -> str:
    for number, extension in ((call.from_number, ""), (call.to_number, call.to_extension)):
        if number and not whole:
            for text in (extension, ""):
                shown, hidden = numbers.display(number, text), numbers.mask(number, text)
                sentence = sentence.replace(shown, hidden)
    return permissions.display_text(sentence, whole)
