"""Concurrent requests, deliveries and hang-ups."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from django_poketalk.backends import locmem
from django_poketalk.calls import placing, requesting
from django_poketalk.models import CallRequest

from ..conftest import CALLEE, CALLER
from .test_placing import Change, NewCall

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 20


def at_once(work: Any) -> list[Any]:
    """The results and errors of `work()` in many threads that start together."""
    start = threading.Barrier(THREADS)
    results: list[Any] = []

    def run() -> None:
        start.wait()
        try:
            results.append(work())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    return results


def test_concurrent_requests_with_one_key_place_one_call(user: Any, poketalk: Change) -> None:
    poketalk(LIVE_CALLS_PER_USER=1)

    def request() -> int:
        return requesting.request_call(
            from_number=CALLER, to_number=CALLEE, user=user, idempotency_key="click"
        ).pk

    made = at_once(request)

    assert made == [CallRequest.objects.get().pk] * THREADS


def test_concurrent_deliveries_send_each_call_once(
    new_call: NewCall,
) -> None:
    calls = [new_call() for _ in range(5)]

    def deliver() -> None:
        for call in calls * 4:
            placing.place(call.pk)

    assert at_once(deliver) == [None] * THREADS
    assert sorted(order.webcallid for order in locmem.outbox) == sorted(
        call.webcallid for call in calls
    )


def test_either_a_concurrent_hang_up_or_the_placement_wins(call: CallRequest) -> None:
    start = iter([True] + [False] * (THREADS - 1))
    lock = threading.Lock()

    def either() -> object:
        with lock:
            cancels = next(start)
        mine = CallRequest.objects.get(pk=call.pk)
        return requesting.cancel(mine) if cancels else placing.place(call.pk)

    results = at_once(either)

    cancelled = True in results
    assert cancelled == (CallRequest.objects.get(pk=call.pk).placement == "cancelled")
    assert len(locmem.outbox) == (0 if cancelled else 1)
