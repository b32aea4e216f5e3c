"""If the database is away or frozen, requests are answered with 503, and can be repeated."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from django_poketalk.server import admission, views
from django_poketalk.server.models import Account, Call
from django_poketalk.server.views import REQUESTS
from tests.relay import Relay, relayed

from .conftest import Customer, make_customer

LONGEST = 10  # seconds; two are promised, on a machine that does nothing else
TWO_LINES = "connection refused\n\tIs the server running?" + "x" * 500


def api(customer: Customer) -> Any:
    return customer.client.get(
        "/api/calls/", headers={"Authorization": f"Api-Key {customer.secret}"}
    )


def wait_until_idle() -> None:
    """Wait for work that timed out."""
    taken = [REQUESTS.free.acquire(timeout=30) for _ in range(REQUESTS.threads)]
    REQUESTS.free.release(sum(taken))
    assert all(taken)


@pytest.fixture
def real_customer(transactional_db: None) -> Customer:
    """A customer whose requests are not part of the test's transaction."""
    return make_customer()


@pytest.mark.parametrize("error", [OperationalError, admission.deadline.Overdue])
def test_503_with_one_line_and_one_log_line_without_the_database(
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    def fail(form: admission.CallForm) -> None:
        raise error(TWO_LINES)

    monkeypatch.setattr(admission, "admit", fail)
    response = customer.post(custom="order-7")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.content.decode() == views.UNAVAILABLE
    [record] = [each for each in caplog.records if each.name.startswith("django_poketalk")]
    assert record.levelno == logging.ERROR
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 300
    assert record.exc_info is None


def test_the_api_answers_503_with_one_log_line_without_the_database(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError(TWO_LINES)

    monkeypatch.setattr(admission, "identify", fail)
    response = api(customer)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json()["code"] == "unavailable"
    [record] = [each for each in caplog.records if each.name.startswith("django_poketalk")]
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 300
    assert record.exc_info is None


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()
    wait_until_idle()


def test_a_request_that_is_repeated_after_503_gets_the_call_that_was_committed(
    real_customer: Customer, monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    admit = admission.admit

    def answer_late(form: admission.CallForm) -> admission.Answer:
        answer = admit(form)
        release.wait(30)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(views, "WAIT", 3)  # longer than to commit, on any machine
        patch.setattr(admission, "admit", answer_late)
        assert real_customer.post(custom="order-7").status_code == 503
        release.set()
        wait_until_idle()
    [call] = Call.objects.all()
    assert real_customer.request_call(custom="order-7") == "00"
    assert list(Call.objects.all()) == [call]
    assert Account.objects.get().held == call.held


def test_nothing_is_committed_after_503(
    real_customer: Customer, monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    new_call = admission._new_call

    def be_slow(*args: Any) -> Call:
        release.wait(30)
        return new_call(*args)

    with monkeypatch.context() as patch:
        patch.setattr(views, "WAIT", 0.2)
        patch.setattr(admission, "_new_call", be_slow)
        assert real_customer.post(custom="order-7").status_code == 503
        release.set()
        wait_until_idle()
    assert not Call.objects.exists()
    assert Account.objects.get().held == 0
    assert real_customer.request_call(custom="order-7") == "00"


def test_requests_wait_for_a_thread(
    real_customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [REQUESTS.free.acquire(timeout=10) for _ in range(REQUESTS.threads)]
    assert all(taken)
    timer = threading.Timer(0.1, REQUESTS.free.release)
    timer.start()
    try:
        monkeypatch.setattr(views, "WAIT", LONGEST)
        assert real_customer.request_call() == "00"
    finally:
        timer.join()
        REQUESTS.free.release(REQUESTS.threads - 1)


def test_requests_are_not_atomic_requests(
    real_customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction of a request would hang before the deadline begins."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    threads: list[int] = []
    admit, identify = admission.admit, admission.identify

    def note(form: admission.CallForm) -> admission.Answer:
        threads.append(threading.get_ident())
        return admit(form)

    def note_key(*args: str) -> Any:
        threads.append(threading.get_ident())
        return identify(*args)

    monkeypatch.setattr(admission, "admit", note)
    assert real_customer.request_call() == "00"
    monkeypatch.setattr(admission, "identify", note_key)
    assert api(real_customer).status_code == 200
    assert len(threads) == 2
    assert threading.get_ident() not in threads


@pytest.fixture
def relay(real_customer: Customer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    monkeypatch.setattr(REQUESTS, "_pools", {})
    with relayed(monkeypatch) as between:
        yield between
        between.open.set()
        wait_until_idle()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite is no server.")
def test_with_a_frozen_database_every_request_is_answered_in_time(
    real_customer: Customer, relay: Relay
) -> None:
    assert real_customer.request_call() == "00"
    relay.open.clear()
    codes: list[int] = []
    slowest = [0.0]

    def ask() -> None:
        mine = Client()
        for path in (None, "/api/calls/"):
            begun = time.monotonic()
            if path is None:
                response: Any = mine.post("/index.php/api/click2call", real_customer.form())
            else:
                key = f"Api-Key {real_customer.secret}"
                response = mine.get(path, headers={"Authorization": key})
            codes.append(response.status_code)
            slowest.append(time.monotonic() - begun)

    asking = [threading.Thread(target=ask) for _ in range(24)]  # more than there are threads
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert set(codes) == {503}
    assert len(codes) == 48
    assert max(slowest) < LONGEST
    relay.open.set()
    wait_until_idle()
    assert real_customer.request_call() == "00"
    with transaction.atomic():
        assert Call.objects.count() == 2
