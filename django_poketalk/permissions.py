"""Who may do what. Templates, views, the admin and the API all use these functions.

A call belongs to the user who placed it. The owner may watch it, end it and see its numbers. All
other users require a permission of the app `poketalk`: for all objects, or, if an authentication
backend grants it (as that of django-guardian does), for a single object.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db.models import Model
from django.utils.module_loading import import_string

from .conf import settings
from .models import BlacklistedNumber, CallRequest, Phone
from .models.calls import CallRequestQuerySet
from .protocol import numbers

Person: TypeAlias = AbstractBaseUser | AnonymousUser | PermissionsMixin


def may_place(user: Person) -> bool:
    """Whether this user may place calls."""
    return _has(user, "place_call")


def may_dial(user: Person) -> bool:
    """Whether this user may call any number, on the dial pad."""
    return may_place(user) and _has(user, "dial_any_number")


def may_choose_caller(user: Person, number: str = "") -> bool:
    """Whether this user may choose a phone other than their own to ring first: any, or one with
    this number, as it is stored.
    """
    if _has(user, "choose_caller_phone"):
        return True
    shared = Phone.objects.filter(number=number) if number and user.pk is not None else ()
    return any(_has(user, "choose_caller_phone", phone) and phone.may_ring for phone in shared)


def may_verify_phones(user: Person, phone: Phone | None = None) -> bool:
    """Whether this user may confirm that this phone, or any phone, belongs to its user."""
    return _has(user, "verify_phone", phone)


def may_call_about(user: Person, subject: Model) -> bool:
    """Whether this user may place a call about this object: the answer of the function that the
    setting `MAY_CALL_ABOUT` names, which takes the user and the object.

    By default, this requires permission to view or change the object, because users who see the
    call also see the object.
    """
    if settings.may_call_about:
        return bool(import_string(settings.may_call_about)(user, subject))
    if not isinstance(user, PermissionsMixin):
        return False
    meta = subject._meta
    names = [f"{meta.app_label}.{action}_{meta.model_name}" for action in ("view", "change")]
    return any(user.has_perm(name) or user.has_perm(name, subject) for name in names)


def may_see(user: Person, call: CallRequest) -> bool:
    """Whether this user may watch this call. With `VISIBLE_CALLS`, its function decides."""
    if settings.visible_calls:
        return visible_calls(user).filter(pk=call.pk).exists()
    if _owns(user, call):
        return True
    return _has(user, "view_callrequest", call) or may_resolve(user, call)


def may_see_all(user: Person) -> bool:
    """Whether this user may watch the calls of all users, as far as `VISIBLE_CALLS` shows them.
    Users who may resolve calls may also see them, as in Django's admin.
    """
    return _has(user, "view_callrequest") or may_resolve(user)


def may_see_totals(user: Person) -> bool:
    """Whether this user may see figures over the calls of all users, without exception."""
    return may_see_all(user) and not settings.visible_calls


def visible_calls(user: Person) -> CallRequestQuerySet:
    """The calls that lists display to this user: their own, or all. To add those of permissions for
    single calls, use `VISIBLE_CALLS`.
    """
    calls = CallRequest.objects.all()
    if user.pk is None:
        return calls.none()
    allowed = calls if may_see_all(user) else calls.filter(user_id=user.pk)
    return only_visible(allowed, user)


def only_visible(calls: CallRequestQuerySet, user: Person) -> CallRequestQuerySet:
    """The calls that this user may watch, given those that their permissions allow: the answer of
    the function that the setting `VISIBLE_CALLS` names, or else all of these.
    """
    if not settings.visible_calls:
        return calls
    visible: CallRequestQuerySet = import_string(settings.visible_calls)(calls, user)
    return visible


def own_calls(user: Person) -> CallRequestQuerySet:
    """The user's own calls, without those that `VISIBLE_CALLS` leaves out."""
    if user.pk is None:
        return CallRequest.objects.none()
    own = CallRequest.objects.filter(user_id=user.pk)
    if not settings.visible_calls:
        return own
    return own.filter(pk__in=visible_calls(user).values("pk"))


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
    return _owns(user, call) or _has(user, "view_callevent", call)


def may_hang_up(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call. Does not check whether it is still open."""
    return _owns(user, call) or _has(user, "hang_up_any_call", call)


def may_hang_up_now(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call, and the call has neither ended nor is being ended."""
    return call.is_open and call.hangup_requested_at is None and may_hang_up(user, call)


def may_hang_up_any(user: Person) -> bool:
    """Whether this user may end the calls of all users."""
    return _has(user, "hang_up_any_call")


def may_resolve(user: Person, call: CallRequest | None = None) -> bool:
    """Whether this user may resolve this call, or any, manually if its outcome is unknown."""
    return _has(user, "change_callrequest", call)


def may_wrap_up(user: Person, call: CallRequest) -> bool:
    """Whether this user may write the result and the note of this call, and set a call back."""
    return _owns(user, call) or _has(user, "change_wrapup", call)


def may_follow_up(user: Person, call: CallRequest) -> bool:
    """Whether this user may set a call back after this call, besides `may_wrap_up`. After a call
    that has no user, it is their own, and shows them the whole number.
    """
    return call.user_id is not None or may_see_numbers(user, call)


def may_see_reports(user: Person) -> bool:
    """Whether this user may see reports over all calls."""
    return may_see_all(user)


def may_see_numbers(user: Person, call: CallRequest | None = None) -> bool:
    """Whether this user may see the whole numbers of this call, or of all calls if it is None."""
    return (call is not None and _owns(user, call)) or _has(user, "view_numbers", call)


def may_keep_blacklist(
    user: Person,
    action: Literal["view", "add", "change", "delete"],
    entry: BlacklistedNumber | None = None,
) -> bool:
    """Whether this user may do this to this blacklist entry, or to all. Users who may change
    entries may also view them, as in Django's admin.
    """
    may_change = action == "view" and _has(user, "change_blacklistednumber", entry)
    return may_change or _has(user, f"{action}_blacklistednumber", entry)


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


def _has(user: Person, permission: str, obj: Model | None = None) -> bool:
    # Users of a model without Django's permissions only have access to their own calls.
    if not isinstance(user, (PermissionsMixin, AnonymousUser)):
        return False
    name = f"poketalk.{permission}"
    return user.has_perm(name) or (obj is not None and user.has_perm(name, obj))
