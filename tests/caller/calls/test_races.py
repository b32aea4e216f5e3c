"""Concurrent requests, deliveries and hang-ups."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from django_poketalk.backends import locmem
from django_poketalk.calls import placing, requesting, verification
from django_poketalk.models import CallRequest, Phone

from ..api.rest_client import OWN_NUMBER, client
from ..conftest import CALLEE, CALLER
from ..people import logged_in, someone
from .test_placing import Change, NewCall

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 10  # each has a connection, and PostgreSQL lets all test processes have 100 together


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


def send(phone: Phone, code: str) -> None:
    SENT.append(phone.number)


SENT: list[str] = []
SEND = f"{__name__}.send"


def test_concurrent_requests_send_a_number_no_more_codes_than_one_after_the_other(
    poketalk: Change,
) -> None:
    poketalk(VERIFY_PHONES=SEND)
    SENT.clear()
    phones = [
        Phone.objects.create(user=someone(f"user {count}"), number=CALLER)
        for count in range(THREADS)
    ]
    waiting = iter(phones)

    results = at_once(lambda: verification.send_code(next(waiting)))

    assert [CALLER] * verification.MOST_CODES == SENT
    assert [str(getattr(each, "code", each)) for each in results].count(
        "too_many_codes"
    ) == THREADS - verification.MOST_CODES


def test_concurrent_codes_have_no_more_attempts_than_one_after_the_other(
    poketalk: Change,
) -> None:
    poketalk(VERIFY_PHONES=SEND)
    phone = Phone.objects.create(user=someone("anna"), number=CALLER)
    verification.send_code(phone)

    refused = [error.code for error in at_once(lambda: verification.enter_code(phone, "x"))]

    assert refused.count("code_wrong") == verification.MOST_ATTEMPTS
    assert refused.count("too_many_attempts") == THREADS - verification.MOST_ATTEMPTS


def test_a_phone_that_is_added_twice_at_once_is_one_phone(poketalk: Change) -> None:
    user = someone("anna", "place_call")
    form = {"number": CALLER, "label": "Desk"}
    path = "/poketalk/my-phones/"
    clients = iter([logged_in(user) for _ in range(THREADS)])

    statuses = at_once(lambda: next(clients).post(path, form).status_code)

    assert set(statuses) <= {200, 302}
    assert Phone.objects.get().is_default


def test_an_own_number_that_is_set_twice_at_once_is_one_phone() -> None:
    user = someone("anna", "place_call")
    clients = iter([client(user) for _ in range(THREADS)])
    body = {"number": CALLER}

    answers = at_once(lambda: next(clients).put(OWN_NUMBER, body, "application/json").status_code)

    assert answers == [200] * THREADS
    assert Phone.objects.get().number == CALLER
