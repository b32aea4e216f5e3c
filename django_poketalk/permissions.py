"""Who may do what: the same predicates for templates, views, the admin and the API.

A call belongs to the user who placed it. Its owner may watch it, end it and see whom it connects;
everybody else needs a permission of the app `poketalk`.
"""

from __future__ import annotations

from typing import TypeAlias

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from .models import CallRequest
from .protocol import numbers

Person: TypeAlias = AbstractBaseUser | AnonymousUser | PermissionsMixin


def may_place(user: Person) -> bool:
    """Whether this user may ask for calls."""
    return _has(user, "place_call")


def may_see(user: Person, call: CallRequest) -> bool:
    """Whether this user may watch this call."""
    return _owns(user, call) or _has(user, "view_callrequest")


def may_hang_up(user: Person, call: CallRequest) -> bool:
    """Whether this user may end this call, if there is still something to end."""
    return _owns(user, call) or may_hang_up_any(user)


def may_hang_up_any(user: Person) -> bool:
    """Whether this user may end anybody's call."""
    return _has(user, "hang_up_any_call")


def may_see_numbers(user: Person, call: CallRequest | None = None) -> bool:
    """Whether this user may see the whole numbers of this call; without a call: all numbers."""
    return (call is not None and _owns(user, call)) or _has(user, "view_numbers")


def shown_number(number: str, whole: bool) -> str:
    """An E.164 number as people read it: in groups, or masked. A forgotten one stays empty."""
    return numbers.display(number) if whole else numbers.mask(number)


def _owns(user: Person, call: CallRequest) -> bool:
    return user.pk is not None and call.user_id == user.pk


def _has(user: Person, permission: str) -> bool:
    # A user model without Django's permissions may do nothing beyond its own calls.
    return isinstance(user, (PermissionsMixin, AnonymousUser)) and user.has_perm(
        f"poketalk.{permission}"
    )
