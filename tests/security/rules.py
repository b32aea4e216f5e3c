"""Call rules for the tests."""

from __future__ import annotations

from typing import Any

from django_poketalk.models import CallRequest
from django_poketalk.models.calls import CallRequestQuerySet


def no_consent(call: CallRequest) -> str:
    """Refuses calls to numbers that end with 999."""
    return "This person does not want to be called." if call.to_number.endswith("999") else ""


def broken(call: CallRequest) -> str:
    raise LookupError("The list of consents is not available.")


def friends_of_anna(user: Any, about: Any) -> bool:
    """Only anna may call, and only about contacts named Bob."""
    return bool(user.get_username() == "anna" and str(about) == "Bob")


def same_team(calls: CallRequestQuerySet, user: Any) -> CallRequestQuerySet:
    """Of the calls that the user may see, those of the user's team, which is the last name."""
    return calls.filter(user__last_name=user.last_name)


def also_of_team(calls: CallRequestQuerySet, user: Any) -> CallRequestQuerySet:
    """Also the calls of the user's team, whatever the permissions."""
    return calls | CallRequest.objects.filter(user__last_name=user.last_name)


def not_about_bob(calls: CallRequestQuerySet, user: Any) -> CallRequestQuerySet:
    """Leaves out calls about contacts, as if they belonged to another tenant."""
    return calls.filter(subject_type=None)
