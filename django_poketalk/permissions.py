"""Who may do what: the same predicates for templates, views, the admin and the API.

A call belongs to the user who placed it. Its owner may watch it, end it and see whom it connects;
everybody else needs a permission of the app `poketalk`.
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
    """Whether this user may ask for calls."""
    return _has(user, "place_call")


def may_choose_caller(user: Person) -> bool:
    """Whether this user may have another phone than the user's own ring first.

    Whoever may change everybody's own numbers can do so anyway.
    """
    return _has(user, "change_callernumber")


def may_call_about(user: Person, subject: type[Model] | Model) -> bool:
    """Whether this user may name this object, or any of this model, as what a call is about: who
    sees the call sees it as well.
    """
    if not isinstance(user, PermissionsMixin):
        return False
    name = f"{subject._meta.app_label}.view_{subject._meta.model_name}"
    return user.has_perm(name) or (isinstance(subject, Model) and user.has_perm(name, subject))


def may_see(user: Person, call: CallRequest) -> bool:
    """Whether this user may watch this call."""
    return _owns(user, call) or may_see_all(user)


def may_see_all(user: Person) -> bool:
    """Whether this user may watch everybody's calls. Whoever may settle them may see them, as in
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
    """The calls that this user may look for by number: those whose whole numbers they may see,
    since finding one would tell its number.
    """
    calls = visible_calls(user)
    if user.pk is None or may_see_numbers(user):
        return calls
    return calls.filter(user_id=user.pk)


def may_follow_calls(user: Person) -> bool:
    """Whether there are calls for this user to see at all: own ones, or everybody's."""
    return may_place(user) or may_see_all(user)


def may_see_events(user: Person, call: CallRequest) -> bool:
    """Whether this user may see what the service told of this call, event by event."""
    return _owns(user, call) or _has(user, "view_callevent")


def may_hang_up(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call, if there is still something to end."""
    return _owns(user, call) or may_hang_up_any(user)


def may_hang_up_now(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call, and it has neither ended nor been asked to end."""
    return call.is_open and call.hangup_requested_at is None and may_hang_up(user, call)


def may_hang_up_any(user: Person) -> bool:
    """Whether this user may end anybody's call."""
    return _has(user, "hang_up_any_call")


def may_resolve(user: Person) -> bool:
    """Whether this user may say what became of a call whose outcome is unknown."""
    return _has(user, "change_callrequest")


def may_see_reports(user: Person) -> bool:
    """Whether this user may see what everybody's calls add up to."""
    return may_see_all(user)


def may_see_numbers(user: Person, call: CallRequest | None = None) -> bool:
    """Whether this user may see the whole numbers of this call; without a call: all numbers."""
    return (call is not None and _owns(user, call)) or _has(user, "view_numbers")


def may_keep_blacklist(user: Person, action: Literal["view", "add", "change", "delete"]) -> bool:
    """Whether this user may do this to entries of the blacklist. Whoever may change them may see
    them, as in Django's admin.
    """
    may_change = action == "view" and _has(user, "change_blacklistednumber")
    return may_change or _has(user, f"{action}_blacklistednumber")


def shown_number(number: str, whole: bool) -> str:
    """An E.164 number as people read it: in groups, or masked. A forgotten one stays empty."""
    return numbers.display(number) if whole else numbers.mask(number)


def shown_text(text: str, whole: bool) -> str:
    """Text from outside or from people, in which phone numbers may stand, as it may be read."""
    return text if whole else numbers.mask_within(text)


def _owns(user: Person, call: CallRequest) -> bool:
    return user.pk is not None and call.user_id == user.pk


def _has(user: Person, permission: str) -> bool:
    # A user model without Django's permissions may do nothing beyond its own calls.
    return isinstance(user, (PermissionsMixin, AnonymousUser)) and user.has_perm(
        f"poketalk.{permission}"
    )
