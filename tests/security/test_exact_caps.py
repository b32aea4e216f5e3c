"""Concurrent requests do not exceed a cap, on any database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from django_poketalk.calls import placing, requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest, Placement
from django_poketalk.models.cap_locks import CapLock, create_cap_locks
from tests.caller.calls.test_races import THREADS, at_once
from tests.caller.conftest import CALLER

pytestmark = pytest.mark.django_db(transaction=True)
NO_CAPS = dict.fromkeys(
    (
        "LIVE_CALLS_PER_USER",
        "CALLS_PER_HOUR_PER_USER",
        "CALLS_PER_HOUR_PER_CALLEE",
        "CALLS_PER_HOUR_PER_CALLER_PHONE",
    )
)


def requests(number: Callable[[int], str], user: Any) -> list[Any]:
    """The results of concurrent requests: of calls to `number(n)`, each from another phone unless
    the cap is on phones.
    """
    turns = iter(range(THREADS))

    def request() -> int:
        turn = next(turns)
        return requesting.request_call(from_number=CALLER, to_number=number(turn), user=user).pk

    return at_once(request)


def test_missing_locks_are_created(poketalk: Callable[..., None]) -> None:
    poketalk(**{**NO_CAPS, "CALLS_PER_HOUR_PER_CALLEE": 1})
    CapLock.objects.all().delete()
    try:
        results = requests(lambda turn: "+442079460123", None)
        is_needed = connection.features.has_select_for_update
        assert CapLock.objects.exists() == is_needed
    finally:
        create_cap_locks(connection.alias)

    assert CallRequest.objects.count() == 1
    assert len([each for each in results if isinstance(each, int)]) == 1


@pytest.mark.parametrize(
    ("cap", "limit"),
    [
        ("LIVE_CALLS_PER_USER", 1),
        ("LIVE_CALLS", 3),
        ("CALLS_PER_HOUR_PER_USER", 2),
        ("CALLS_PER_HOUR_PER_CALLEE", 1),
        ("CALLS_PER_HOUR_PER_CALLER_PHONE", 1),
        ("CALLS_PER_HOUR", 4),
    ],
)
def test_concurrent_requests_make_exactly_as_many_calls_as_allowed(
    cap: str, limit: int, poketalk: Callable[..., None]
) -> None:
    poketalk(**{**NO_CAPS, cap: limit})
    anna = get_user_model().objects.create_user("anna")
    one = cap == "CALLS_PER_HOUR_PER_CALLEE"

    results = requests(lambda turn: f"+4420794601{0 if one else turn:02}", anna)

    refused = [each.code for each in results if isinstance(each, CallRefused)]
    assert refused == [cap.lower()] * (THREADS - limit)
    assert CallRequest.objects.count() == limit


@pytest.mark.parametrize("cap", ["LIVE_CALLS", "CALLS_PER_HOUR"])
def test_concurrent_requests_do_not_exceed_the_cap_of_one_service(
    cap: str, poketalk: Callable[..., None]
) -> None:
    poketalk(**NO_CAPS, SERVICES={"default": {cap: 2}})

    results = requests(lambda turn: f"+4420794601{turn:02}", None)

    refused = [each.code for each in results if isinstance(each, CallRefused)]
    assert refused == [f"service_{cap.lower()}"] * (THREADS - 2)
    assert CallRequest.objects.count() == 2


def test_scheduled_calls_that_become_due_together_are_sent_up_to_the_cap(
    poketalk: Callable[..., None],
) -> None:
    poketalk(**{**NO_CAPS, "LIVE_CALLS_PER_USER": 1})
    anna = get_user_model().objects.create_user("anna")
    later = timezone.now() + timedelta(days=1)
    calls = [
        requesting.request_call(
            from_number=CALLER, to_number=f"+4420794601{turn:02}", user=anna, not_before=later
        )
        for turn in range(THREADS)
    ]
    turns = iter(calls)
    an_hour_ago, now = timezone.now() - timedelta(hours=1), timezone.now()
    CallRequest.objects.update(created_at=an_hour_ago, not_before=now, rings_at=now)

    results = at_once(lambda: placing.place(next(turns).pk))

    assert results == [None] * THREADS
    assert CallRequest.objects.filter(placement=Placement.ACCEPTED).count() == 1
    assert CallRequest.objects.filter(placement=Placement.QUEUED).count() == THREADS - 1
