"""Calling again: requests another call between the same phones, about the same object."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from .. import permissions
from ..exceptions import CallRefused
from ..models import CallRequest, Placement
from . import caller_phones, requesting, subjects

UNSENT = (
    Placement.REJECTED,
    Placement.CANCELLED,
    Placement.EXPIRED,
    Placement.FAILED,
    Placement.FORBIDDEN,
)
MOST_LINKS = 100  # the longest chain of calls that were each called again


def never_rang(call: CallRequest) -> bool:
    """Whether it is certain that no phone rang: the request was refused or never sent, and no event
    was received.
    """
    return call.placement in UNSENT and call.status is None


def call_again(
    call: CallRequest,
    user: Any,
    *,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
) -> CallRequest:
    """Request the same call for this user: with the same numbers, subject, metadata and limits. The
    presented number is that of `CALLER_ID` for this user, unless the call was requested with a
    `caller_id`.

    As long as the new call is open, further calls of this function return it, marked `repeated`.
    Check `never_rang` first if nobody should be called twice.

    Raises `CallRefused` like `request_call`, and if the user may not place the call or see its
    numbers: a call of their own would show them, and which rules refuse it would reveal them.
    """
    check(call, user)
    key, still_open = _next_key(call, user)
    if still_open is not None:
        return still_open
    subjects.load([call])
    return requesting.request_call(
        from_number=call.from_number,
        to_number=call.to_number,
        to_extension=call.to_extension,
        caller_id=call.presented_number if call.chose_caller_id else None,
        user=user,
        subject=call.subject,
        metadata=call.metadata,
        not_before=not_before,
        expires_at=expires_at,
        max_duration=call.max_duration,
        max_cost=call.max_cost,
        requires_permission=True,
        idempotency_key=key,
    )


def next_open(call: CallRequest, user: Any) -> CallRequest | None:
    """This user's call in place of this one that has not ended yet, such as a scheduled one."""
    return _next_key(call, user)[1]


def check(call: CallRequest, user: Any) -> None:
    """Raise `CallRefused` if the user may not place the call or see its numbers, or if these were
    erased.
    """
    if not permissions.may_place(user):
        raise CallRefused("not_allowed", _("You are not allowed to place calls."))
    if not permissions.may_see_numbers(user, call):
        raise CallRefused("not_allowed", _("You are not allowed to see the numbers of this call."))
    if not call.from_number or not call.to_number:
        raise CallRefused("forgotten", _("The numbers of this call were deleted."))
    may_choose = permissions.may_choose_caller(user, call.from_number)
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
