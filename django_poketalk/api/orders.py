"""From the body of a request to a call: chooses the caller's number and loads the subject."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied

from .. import permissions
from ..calls import requesting, subjects
from ..exceptions import CallRefused
from ..models import CallRequest


def place(order: dict[str, Any], user: Any, key: str | None) -> CallRequest:
    """Request the call, or return the one that the user requested with this key before.
    `CallRefused`, `IdempotencyConflict`, `PermissionDenied`.
    """
    made = requesting.made_with(key, user) if key is not None else None
    return requesting.request_call(**_complete(order, user, made), idempotency_key=key)


def quote(order: dict[str, Any], user: Any) -> CallRequest:
    """The call that the order would request, not saved. `CallRefused`, `PermissionDenied`."""
    quote = requesting.quote(**_complete(order, user, None))
    for refusal in quote.refusals:
        raise refusal
    return quote.call


def _complete(order: dict[str, Any], user: Any, made: CallRequest | None) -> Any:
    """The arguments of `request_call`: the order with caller and subject filled in."""
    return {
        **order,
        "user": user,
        "from_number": _caller(order.get("from_number"), user, made),
        "subject": _subject(order.get("subject"), user),
    }


def _caller(given: str | None, user: Any, made: CallRequest | None) -> str:
    if given is not None:
        if not permissions.may_choose_caller(user):
            raise PermissionDenied(_("You are not allowed to choose which phone rings first."))
        return given
    if made is not None:  # even if the user's own number has changed since
        return made.from_number
    return requesting.own_number(user)


def _subject(given: dict[str, str] | None, user: Any) -> Model | None:
    if given is None:
        return None
    found = subjects.find(given["type"], given["id"])
    if found is None or not permissions.may_call_about(user, found):
        # The same error for both: it must not reveal which objects exist.
        raise CallRefused(
            "subject_unknown",
            _("This object does not exist, or you are not allowed to call about it."),
            "subject",
        )
    return found
