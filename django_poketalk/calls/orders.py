"""Requests and quotes calls for a user, from a button or the REST API."""

from __future__ import annotations

from typing import Any, Required, TypedDict

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.utils.translation import gettext as _

from .. import permissions
from ..models import CallRequest, Phone
from ..models.phones import read_phone
from ..protocol.numbers import InvalidNumber
from . import caller_phones, requesting, subjects
from .quote import Quote


class UserOrder(TypedDict, total=False):
    """A `requesting.Order` without the user. `from_number` is by default the number of the user's
    default phone. Users may choose among their own phones; others require a permission.
    """

    to_number: Required[str]
    to_extension: str
    from_number: str
    subject: Model | None
    metadata: dict[str, Any] | None
    max_duration: Any
    max_cost: Any
    not_before: Any
    expires_at: Any


def place(order: UserOrder, user: Any, key: str | None) -> CallRequest:
    """Request the call, or return the one that the user requested with this key before.

    Raises `CallRefused`, `IdempotencyConflict` or `PermissionDenied`.
    """
    earlier = requesting.made_with(key, user) if key is not None else None
    return requesting.request_call(**_complete(order, user, earlier), idempotency_key=key)


def quote(order: UserOrder, user: Any) -> Quote:
    """What `place` would do now. Raises `CallRefused` or `PermissionDenied`."""
    return requesting.quote(**_complete(order, user))


def subject_for(user: Any, model: str, pk: str) -> Model:
    """The object of this model (`app_label.model`) with this primary key as text. Raises
    `CallRefused` if it does not exist, or if the user may not call about it.
    """
    found = subjects.find(model, pk)
    if found is None or not permissions.may_call_about(user, found):
        raise subjects.unknown()
    return found


def _complete(order: UserOrder, user: Any, earlier: CallRequest | None = None) -> requesting.Order:
    """The arguments of `request_call`: the order with its user and the caller's number."""
    if "from_number" not in order:
        # The number of the earlier call, even if the user's own number has changed since.
        number = earlier.from_number if earlier else caller_phones.own_number(user)
    elif permissions.may_choose_caller(user):
        number = order["from_number"]
    else:
        number = _own(order["from_number"], user)
    added = {"user": user, "from_number": number, "requires_permission": True}
    complete: requesting.Order = {**order, **added}  # type: ignore[typeddict-item]
    return complete


def _own(number: str, user: Any) -> str:
    """The number, if it is one of the user's own phones, or another one that they may choose,
    however it is written.
    """
    phones = Phone.objects.for_user(user)
    try:
        stored = read_phone(number)
    except InvalidNumber:
        stored = ""
    own = caller_phones.find(phones, stored)
    if own is None and permissions.may_choose_caller(user, stored):
        return stored
    if own is None:
        raise PermissionDenied(_("You are not allowed to choose which phone rings first."))
    return caller_phones.chosen_number(phones, own.number)
