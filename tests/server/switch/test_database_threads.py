"""Database work in threads: temporary errors are retried, and connections are closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection, connections, transaction

from django_poketalk.server.database import idle_transactions
from django_poketalk.server.models import Account, Call, Switch
from django_poketalk.server.switch.database_threads import DatabaseThreads, batch_pause
from django_poketalk.server.switch.engine import THREADS, Engine

from .conftest import SPEED, Service, closing, eventually, serve

pytestmark = pytest.mark.django_db(transaction=True)


def run(function: object, retry_for: float = 5.0) -> object:
    async def once() -> object:
        database = DatabaseThreads(2, retry_for)
        try:
            return await database.run(function)  # type: ignore[arg-type]
        finally:
            await asyncio.to_thread(database.close)

    return asyncio.run(once())


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_temporary_errors_are_retried_on_a_new_connection(
    error: type[Exception],
) -> None:
    used: list[object] = []
    failures: Iterator[int] = iter(range(2))

    def work() -> str:
        connection.ensure_connection()
        used.append(connection.connection)
        if next(failures, None) is not None:
            raise error("gone")
        return "done"

    assert run(work) == "done"
    assert len({id(each) for each in used}) == 3


def test_retries_end_after_their_time_limit() -> None:
    def work() -> None:
        raise OperationalError("gone for good")

    with pytest.raises(OperationalError, match="gone for good"):
        run(work, retry_for=0.2)


def test_other_errors_are_not_retried() -> None:
    attempts = []

    def work() -> None:
        attempts.append(1)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(work)
    assert len(attempts) == 1


def test_connections_are_reused_and_closed_at_the_end() -> None:
    used: dict[int, set[int]] = {}
    wrappers = []

    def work() -> None:
        connection.ensure_connection()
        used.setdefault(threading.get_ident(), set()).add(id(connection.connection))
        wrappers.append(connections["default"])

    async def many() -> None:
        database = DatabaseThreads(2, 5.0)
        for _ in range(10):
            await database.run(work)
        await asyncio.to_thread(database.close)

    asyncio.run(many())
    assert all(len(each) == 1 for each in used.values())
    assert all(wrapper.connection is None for wrapper in wrappers)


def test_the_pause_grows_with_the_duration_of_the_last_batch() -> None:
    assert batch_pause(0.001, least=0.015) == 0.015
    assert batch_pause(0.01, least=0.015) == pytest.approx(0.03)
    assert batch_pause(60.0, least=0.015) == 0.1


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one thread for all writes.")
def test_locked_accounts_delay_neither_leases_nor_changes_without_money(
    service: Service, settings: Any
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 4}
    switch, unlocked = Engine("test", SPEED), threading.Event()

    async def lock_all() -> None:
        await eventually(Switch.objects.exists)
        money = [asyncio.create_task(switch._threads.run(unlocked.wait)) for _ in range(THREADS)]
        try:
            await asyncio.to_thread(closing, lambda: service.queue(hold=3600))
            await eventually(lambda: Call.objects.filter(status=7).exists())
            await asyncio.sleep(4.5)  # longer than a lease
            assert (switch.calls, switch.stats.lost) == (1, 0)
        finally:
            unlocked.set()
            await asyncio.gather(*money)

    serve(switch, until=lambda: True, during=lock_all)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite is no server.")
def test_a_transaction_that_stops_halfway_is_rolled_back_and_repeated(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_transactions, "LIMIT", 1)
    stopped, resumed = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic():
            account = Account.objects.select_for_update().get()
            stopped.set()
            assert resumed.wait(30)
            Account.objects.update(name=f"{account.name} again")

    async def another_switch_meanwhile() -> None:
        database = DatabaseThreads(2, retry_for=5.0)
        first = asyncio.create_task(database.run(work))
        await asyncio.to_thread(stopped.wait)
        await database.run(lambda: Account.objects.update(name="Taken over"))  # once it is unlocked
        resumed.set()
        await first
        await asyncio.to_thread(database.close)

    asyncio.run(asyncio.wait_for(another_switch_meanwhile(), 30))
    assert Account.objects.get().name == "Taken over again"
