"""A request with the key of an earlier one returns the same call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_poketalk.exceptions import IdempotencyConflict
from django_poketalk.models import CallRequest

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]


def test_the_same_key_returns_the_same_call(new_call: NewCall, user: Any) -> None:
    first = new_call(user=user, idempotency_key="click")
    again = new_call(user=user, idempotency_key="click")

    assert again.pk == first.pk
    assert (first.repeated, again.repeated) == (False, True)
    assert CallRequest.objects.count() == 1


def test_also_if_the_first_call_used_up_the_limit(
    new_call: NewCall, user: Any, poketalk: Change
) -> None:
    poketalk(LIVE_CALLS_PER_USER=1)
    first = new_call(user=user, idempotency_key="click")

    assert new_call(user=user, idempotency_key="click").pk == first.pk


def test_also_if_the_call_has_expired(new_call: NewCall, user: Any) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    first = new_call(user=user, idempotency_key="click", expires_at=soon)

    with time_machine.travel(soon + timedelta(minutes=1), tick=False):
        again = new_call(user=user, idempotency_key="click", expires_at=soon)

    assert again.pk == first.pk


def test_the_same_key_for_another_number_is_a_conflict(new_call: NewCall, user: Any) -> None:
    new_call(user=user, idempotency_key="click")

    with pytest.raises(IdempotencyConflict, match="to_number"):
        new_call(user=user, idempotency_key="click", to_number="+442079460124")


def test_keys_are_separate_for_each_user(
    new_call: NewCall, user: Any, django_user_model: Any
) -> None:
    other = django_user_model.objects.create_user("ben")

    first = new_call(user=user, idempotency_key="click")

    assert new_call(user=other, idempotency_key="click").pk != first.pk
