"""Calling again: the same phones about the same object, but nobody twice by mistake."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from .. import permissions
from ..exceptions import CallRefused
from ..models import CallerNumber, CallRequest, Placement
from ..protocol import numbers
from . import requesting, subjects

UNSENT = (Placement.REJECTED, Placement.CANCELLED, Placement.EXPIRED, Placement.FAILED)
MOST_LINKS = 100  # of calls made in place of one another


def never_rang(call: CallRequest) -> bool:
    """Whether it is certain that nobody's phone rang: the service refused the call, or was never
    asked, and nothing was heard of it.
    """
    return call.placement in UNSENT and call.status is None


def call_again(call: CallRequest, user: Any) -> CallRequest:
    """Ask for the same call in this user's name: both numbers, its subject, its limits.

    While a call that was made so still goes on, it is given back, `repeated`: two presses make one
    call. Whether the first has rung is for the caller to ask before (`never_rang`).
    Raises `CallRefused` as `request_call` does, and when the user may not place the call. The
    sentence masks numbers that the user may not see.
    """
    try:
        return _place(call, user)
    except CallRefused as refusal:
        whole = permissions.may_see_numbers(user, call)
        sentence = _masked(str(refusal.sentence), call, whole)
        raise CallRefused(refusal.code, sentence, refusal.field) from refusal


def _place(call: CallRequest, user: Any) -> CallRequest:
    _check(call, user)
    key, going_on = _next_key(call, user)
    if going_on is not None:
        return going_on
    subjects.load([call])
    return requesting.request_call(
        from_number=call.from_number,
        to_number=call.to_number,
        user=user,
        subject=call.subject,
        max_duration=call.max_duration,
        max_cost=call.max_cost,
        idempotency_key=key,
    )


def _check(call: CallRequest, user: Any) -> None:
    """Who may do it, and whether there is anything left to call."""
    if not permissions.may_place(user):
        raise CallRefused("not_allowed", _("You are not allowed to place calls."))
    if not call.from_number or not call.to_number:
        raise CallRefused("forgotten", _("The numbers of this call were deleted."))
    if call.from_number != CallerNumber.of(user) and not permissions.may_choose_caller(user):
        raise CallRefused(
            "not_allowed",
            _("You are not allowed to choose which phone rings first."),
            "from_number",
        )


def _next_key(call: CallRequest, user: Any) -> tuple[str, CallRequest | None]:
    """The key of the call that this user makes next in place of this one; or the one that goes
    on.
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
    for number in (call.from_number, call.to_number):
        shown = numbers.display(number)
        if number and not whole:
            sentence = sentence.replace(shown, numbers.mask(number))
    return permissions.display_text(sentence, whole)
