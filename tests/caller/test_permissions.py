"""The permissions that templates, views, the admin and the API share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from django_poketalk import permissions
from django_poketalk.models import CallRequest

from .people import someone

OF_A_CALL = [
    (permissions.may_see, "view_callrequest"),
    (permissions.may_hang_up, "hang_up_any_call"),
    (permissions.may_see_numbers, "view_numbers"),
]


@pytest.mark.parametrize(("predicate", "_permission"), OF_A_CALL)
def test_the_owner_of_a_call_needs_no_permission(
    predicate: Any, _permission: str, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    assert predicate(user, new_call(user=user))


@pytest.mark.parametrize(("predicate", "permission"), OF_A_CALL)
def test_other_users_need_only_the_permission_for_it(
    predicate: Any, permission: str, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=user)
    every = {"place_call", "view_callrequest", "hang_up_any_call", "view_numbers"}

    assert predicate(someone("with", permission), call)
    assert not predicate(someone("without", *(every - {permission})), call)


@pytest.mark.parametrize(("predicate", "_permission"), OF_A_CALL)
def test_a_call_without_a_user_does_not_belong_to_visitors(
    predicate: Any, _permission: str, call: CallRequest
) -> None:
    assert not predicate(AnonymousUser(), call)


def test_placing_calls_requires_the_permission(db: None) -> None:
    assert permissions.may_place(someone("agent", "place_call"))
    assert not permissions.may_place(someone("watcher", "view_callrequest", "view_numbers"))
    assert not permissions.may_place(AnonymousUser())
    assert not permissions.may_place(someone("gone", "place_call", is_active=False))


def test_owners_of_calls_may_not_see_all_numbers(user: Any) -> None:
    assert not permissions.may_see_numbers(user)
    assert permissions.may_see_numbers(someone("auditor", "view_numbers"))


def test_a_masked_number_keeps_its_country_and_two_digits() -> None:
    assert permissions.display_number("+442079460123", whole=True) == "+44 20 7946 0123"
    assert permissions.display_number("+442079460123", whole=False) == "+44 ••••••••23"
    assert permissions.display_number("", whole=True) == ""
