"""One customer, or one call, cannot use up what the others need: threads, calls per second,
queries, connections, and name look-ups (`tests/server/switch/delivery/test_lookups.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from django_poketalk.calls import requesting
from django_poketalk.events import incoming
from django_poketalk.models import CallRequest
from django_poketalk.server import admission
from django_poketalk.server.models import Account, ApiKey
from django_poketalk.server.switch.delivery.sender import Delivery, EventSender
from django_poketalk.server.views import REQUESTS
from django_poketalk.shared import deadline
from django_poketalk.shared.deadline import Deadline
from django_poketalk.views.events import RECORDING
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.events.test_event_view import tell
from tests.server.conftest import Customer, make_customer
from tests.server.switch.delivery.test_sender import TALKING
from tests.server.switch.endpoints import OK, Endpoint, always, hang, serve

FLOOD = 36  # requests at once


@contextmanager
def flood(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Do this in many threads. Yields the results, which is complete after the block."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(FLOOD)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        for thread in threads:
            thread.join()


def wait_until_idle(work: Deadline) -> None:
    taken = [work.free.acquire(timeout=30) for _ in range(work.threads)]
    work.free.release(sum(taken))
    assert all(taken)


@pytest.fixture
def calls(transactional_db: None, poketalk: Callable[..., None]) -> list[CallRequest]:
    poketalk(LIVE_CALLS_PER_USER=None)
    return [
        requesting.request_call(from_number=CALLER, to_number=f"{CALLEE[:-1]}{digit}")
        for digit in (1, 2)
    ]


class TestEvents:
    def test_a_hot_url_leaves_threads_for_the_other_calls(
        self, calls: list[CallRequest], client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hot, other = calls
        receive, release, hanging = incoming.receive, threading.Event(), threading.Semaphore(0)

        def hang_if_hot(limits: Any, *args: Any) -> incoming.Reply:
            if limits.pk == hot.pk:
                hanging.release()
                release.wait(30)
            return receive(limits, *args)

        monkeypatch.setattr(incoming, "receive", hang_if_hot)
        try:
            with flood(lambda: tell(Client(), hot, 7)) as answers:
                assert hanging.acquire(timeout=30)
                assert [tell(client, other, 7, 60 * minute) for minute in range(40)] == [200] * 40
        finally:
            release.set()
            wait_until_idle(RECORDING)

        assert answers == [503] * FLOOD
        assert tell(client, hot, 7) == 200, "it has its share again"

    @pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite locks no rows.")
    def test_a_locked_row_leaves_threads_for_the_other_calls(
        self, calls: list[CallRequest], client: Client
    ) -> None:
        locked, other = calls
        try:
            with transaction.atomic():
                CallRequest.objects.filter(pk=locked.pk).update(attempts=1)
                with flood(lambda: tell(Client(), locked, 7)) as answers:
                    pass
                assert answers == [503] * FLOOD
                results: list[int] = []
                beside = threading.Thread(
                    target=lambda: results.extend(tell(Client(), other, 7) for _ in range(40))
                )
                beside.start()
                beside.join()
        finally:
            wait_until_idle(RECORDING)

        assert results == [200] * 40

    @pytest.mark.parametrize("queues", [True, False])
    def test_whoever_has_used_up_a_share_is_overdue_until_it_is_given_back(
        self, transactional_db: None, queues: bool
    ) -> None:
        work = Deadline("poketalk-tests", threads=4, share=1, queues=queues)
        release = threading.Event()
        try:
            for _ in range(3):
                with pytest.raises(deadline.Overdue):
                    work.within_share("anna", 0.1, release.wait, 30)
            assert work.within_share("bob", 30, int, "7") == 7
        finally:
            release.set()
            wait_until_idle(work)
        assert work.within_share("anna", 30, int, "7") == 7


class TestRequests:
    def test_an_account_whose_requests_hang_leaves_threads_for_others(
        self, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        busy, other = make_customer("Busy"), make_customer("Other")
        admit, release, hanging = admission.admit, threading.Event(), threading.Semaphore(0)

        def hang_if_busy(form: admission.CallForm) -> admission.Answer:
            if form.api_key == busy.secret:
                hanging.release()
                release.wait(30)
            return admit(form)

        def request() -> int:
            form = busy.form()
            return int(Client().post("/index.php/api/click2call", form).status_code)

        monkeypatch.setattr(admission, "admit", hang_if_busy)
        try:
            with flood(request) as answers:
                assert hanging.acquire(timeout=30)
                assert [other.request_call() for _ in range(20)] == ["00"] * 20
                assert query(other).status_code == 200
        finally:
            release.set()
            wait_until_idle(REQUESTS)

        assert set(answers) == {503}

    def test_a_new_account_has_a_limit_of_calls_per_second(self, customer: Customer) -> None:
        assert Account.objects.create(name="New").max_calls_per_second == 10

        Account.objects.filter(pk=customer.account.pk).update(
            max_calls_per_second=Account._meta.get_field("max_calls_per_second").get_default()
        )
        answers = []
        began = timezone.now()
        while "90" not in answers:
            answers.append(customer.request_call())
        assert len(answers) <= 10 * ((timezone.now() - began).total_seconds() + 1) + 1
        assert answers.count("00") >= 10


def query(customer: Customer, secret: str = "") -> Any:
    headers = {"Authorization": f"Api-Key {secret or customer.secret}"}
    return customer.client.get("/api/calls/", headers=headers)


class TestQueries:
    @pytest.fixture(autouse=True)
    def _empty_cache(self) -> Iterator[None]:
        cache.clear()
        yield
        cache.clear()

    def test_each_account_has_its_own_rate(self, db: None, settings: Any) -> None:
        settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_query": "3/min"}}
        busy, other = make_customer("Busy"), make_customer("Other")
        _key, second = ApiKey.issue(busy.account)

        answers = [query(busy).status_code for _ in range(3)]
        refused = query(busy, second)

        assert answers == [200] * 3
        assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
        assert 0 < int(refused["Retry-After"]) <= 60
        assert query(other).status_code == 200

    def test_there_is_a_default_rate_which_a_project_can_switch_off(
        self, customer: Customer, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = [query(customer).status_code for _ in range(601)]
        assert answers == [200] * 600 + [429]
        settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_query": None}}
        assert query(customer).status_code == 200

    def test_whoever_has_no_key_does_not_use_up_the_rate(
        self, customer: Customer, settings: Any
    ) -> None:
        settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_query": "1/min"}}
        assert {query(customer, "wrong").status_code for _ in range(5)} == {401}
        assert query(customer).status_code == 200


class TestDeliveries:
    def test_an_account_that_lets_a_host_hang_leaves_connections_to_it_for_others(
        self, settings: Any
    ) -> None:
        settings.POKETALK_SERVER = {
            "EVENT_NETWORKS": ("127.0.0.0/8",),
            "EVENT_TIMEOUT": 20.0,
            "EVENT_CONNECTIONS_PER_HOST": 3,
        }

        async def hang_if_busy(*args: Any) -> None:
            await (hang if "busy" in endpoints[0].heads[-1] else always(OK))(*args)

        endpoints: list[Endpoint] = []

        async def beside() -> list[Delivery]:
            async with serve(hang_if_busy) as endpoint, EventSender(timezone.now) as sender:
                endpoints.append(endpoint)
                flooding = [
                    asyncio.create_task(sender.send(f"{endpoint.url}busy", 1, TALKING, account=1))
                    for _ in range(20)
                ]
                while len(endpoint.heads) < 3:
                    await asyncio.sleep(0.01)
                others = [
                    await sender.send(f"{endpoint.url}other", 1, TALKING, account=2)
                    for _ in range(5)
                ]
                assert not any(task.done() for task in flooding)
                for task in flooding:
                    task.cancel()
                await asyncio.gather(*flooding, return_exceptions=True)
                return others

        deliveries = asyncio.run(asyncio.wait_for(beside(), 60))
        assert all(each.is_sent and each.seconds < 10 for each in deliveries)
