"""Who may do what. Templates, views, the admin and the API all use these functions.

A call belongs to the user who placed it. The owner may watch it, end it and see its numbers. All
other users require a permission of the app `poketalk`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db.models import Model

from .models import CallRequest
from .models.calls import CallRequestQuerySet
from .protocol import numbers

Person: TypeAlias = AbstractBaseUser | AnonymousUser | PermissionsMixin


def may_place(user: Person) -> bool:
    """Whether this user may place calls."""
    return _has(user, "place_call")


def may_choose_caller(user: Person) -> bool:
    """Whether this user may choose a phone other than their own to ring first."""
    return _has(user, "choose_caller_phone")


def may_verify_phones(user: Person) -> bool:
    """Whether this user may confirm that a phone belongs to its user."""
    return _has(user, "verify_phone")


def may_call_about(user: Person, subject: type[Model] | Model) -> bool:
    """Whether this user may place a call about this object, or about any object of this model.

    This requires permission to view the object, because users who see the call also see the object.
    """
    if not isinstance(user, PermissionsMixin):
        return False
    name = f"{subject._meta.app_label}.view_{subject._meta.model_name}"
    return user.has_perm(name) or (isinstance(subject, Model) and user.has_perm(name, subject))


def may_see(user: Person, call: CallRequest) -> bool:
    """Whether this user may watch this call."""
    return _owns(user, call) or may_see_all(user)


def may_see_all(user: Person) -> bool:
    """Whether this user may watch all calls. Users who may resolve calls may also see them, as in
    Django's admin.
    """
    return _has(user, "view_callrequest") or may_resolve(user)


def visible_calls(user: Person) -> CallRequestQuerySet:
    """The calls that this user may watch: those for which `may_see` holds."""
    calls = CallRequest.objects.all()
    if user.pk is None:
        return calls.none()
    return calls if may_see_all(user) else calls.filter(user_id=user.pk)


def findable_calls(user: Person) -> CallRequestQuerySet:
    """The calls that this user may search by number: those whose whole numbers they may see, since
    finding a call would reveal its number.
    """
    calls = visible_calls(user)
    if user.pk is None or may_see_numbers(user):
        return calls
    return calls.filter(user_id=user.pk)


def may_see_calls(user: Person) -> bool:
    """Whether this user may see any calls: their own, or all."""
    return may_place(user) or may_see_all(user)


def may_see_events(user: Person, call: CallRequest) -> bool:
    """Whether this user may see the events of this call."""
    return _owns(user, call) or _has(user, "view_callevent")


def may_hang_up(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call. Does not check whether it is still open."""
    return _owns(user, call) or may_hang_up_any(user)


def may_hang_up_now(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call, and the call has neither ended nor is being ended."""
    return call.is_open and call.hangup_requested_at is None and may_hang_up(user, call)


def may_hang_up_any(user: Person) -> bool:
    """Whether this user may end the calls of all users."""
    return _has(user, "hang_up_any_call")


def may_resolve(user: Person) -> bool:
    """Whether this user may resolve calls with an unknown outcome by hand."""
    return _has(user, "change_callrequest")


def may_see_reports(user: Person) -> bool:
    """Whether this user may see reports over all calls."""
    return may_see_all(user)


def may_see_numbers(user: Person, call: CallRequest | None = None) -> bool:
    """Whether this user may see the whole numbers of this call, or of all calls if it is None."""
    return (call is not None and _owns(user, call)) or _has(user, "view_numbers")


def may_keep_blacklist(user: Person, action: Literal["view", "add", "change", "delete"]) -> bool:
    """Whether this user may do this to blacklist entries. Users who may change entries may also
    view them, as in Django's admin.
    """
    may_change = action == "view" and _has(user, "change_blacklistednumber")
    return may_change or _has(user, f"{action}_blacklistednumber")


def display_number(number: str, whole: bool, extension: str = "") -> str:
    """An E.164 number for display, with its extension: `whole` and in groups, or masked. An erased
    number is empty and stays so.
    """
    return numbers.display(number, extension) if whole else numbers.mask(number, extension)


def display_callee(call: CallRequest, whole: bool) -> str:
    """The callee's number with its extension, as `display_number`."""
    return display_number(call.to_number, whole, call.to_extension)


def display_text(text: str, whole: bool) -> str:
    """A text for display. Phone numbers in it are masked, unless they may be seen `whole`."""
    return text if whole else numbers.mask_within(text)


def _owns(user: Person, call: CallRequest) -> bool:
    return user.pk is not None and call.user_id == user.pk


def _has(user: Person, permission: str) -> bool:
    # Users of a model without Django's permissions only have access to their own calls.
    return isinstance(user, (PermissionsMixin, AnonymousUser)) and user.has_perm(
        f"poketalk.{permission}"
    )
