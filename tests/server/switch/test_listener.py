"""On PostgreSQL, the database notifies the switches; on other databases, they poll."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from django.db import connection, transaction

from django_poketalk.server.database import notify
from django_poketalk.server.models import Call
from django_poketalk.server.switch import engine
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.listener import Listener

from .conftest import SPEED, Service, closing, ended, eventually, serve

pytestmark = pytest.mark.django_db(transaction=True)

postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="Only PostgreSQL sends notifications."
)
NEVER = 3600.0  # seconds

END_LISTENERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN %' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that never polls."""
    monkeypatch.setattr(engine, "POLL", NEVER)
    monkeypatch.setattr(engine, "POLL_LISTENING", NEVER)


def in_a_thread(function: Any) -> Any:
    return asyncio.to_thread(closing, function)


async def listening(switch: Engine) -> None:
    async with asyncio.timeout(30):
        while not switch.listener.is_listening:
            await asyncio.sleep(0.01)


@postgresql
def test_an_admission_wakes_the_switch(service: Service, no_polling: None) -> None:
    switch = Engine("test", SPEED)

    async def queue() -> None:
        await listening(switch)
        await in_a_thread(lambda: queue_atomically(service))

    serve(switch, until=lambda: Call.objects.filter(state="ended").exists(), during=queue)
    assert Call.objects.get().status == 2


def queue_atomically(service: Service) -> Call:
    with transaction.atomic():
        return service.queue(a="01")


@postgresql
def test_a_hang_up_wakes_the_switch(service: Service, no_polling: None) -> None:
    call = service.queue()
    switch = Engine("test", SPEED)

    async def hang_up() -> None:
        await listening(switch)
        await eventually(lambda: Call.objects.filter(status=7).exists())
        await in_a_thread(lambda: call.request_hang_up(call.created_at))

    serve(switch, until=ended(call), during=hang_up)
    call.refresh_from_db()
    assert call.hangup_cause == "hang_up_requested"


@postgresql
def test_the_listener_reconnects_and_misses_nothing(
    service: Service, no_polling: None, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Engine("test", SPEED)

    def disconnect_and_queue() -> None:
        with connection.cursor() as cursor:
            cursor.execute(END_LISTENERS)
            assert cursor.fetchall()
        queue_atomically(service)

    async def disconnect() -> None:
        await listening(switch)
        await in_a_thread(disconnect_and_queue)  # while the switch is not listening
        await eventually(lambda: Call.objects.filter(state="ended").count() == 1)
        await listening(switch)
        await in_a_thread(lambda: queue_atomically(service))

    with caplog.at_level(logging.INFO, "django_poketalk"):
        serve(
            switch, until=lambda: Call.objects.filter(state="ended").count() == 2, during=disconnect
        )
    assert "polling only" in caplog.text
    assert caplog.text.count("Listening to the database.") >= 2


def test_without_notifications_the_switch_polls(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "is_possible", staticmethod(lambda: False))
    switch = Engine("test", SPEED)

    async def queue() -> None:
        await asyncio.sleep(0.1)
        await in_a_thread(lambda: queue_atomically(service))

    serve(switch, until=lambda: Call.objects.filter(state="ended").exists(), during=queue)
    assert not switch.listener.is_listening


@postgresql
def test_notifications_are_sent_on_commit_and_not_after_a_rollback(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(notify, "_notify", sent.append)
    with transaction.atomic():
        service.queue()
        assert sent == []
    assert sent == ["queued"]
    with transaction.atomic():
        service.queue()
        transaction.set_rollback(True)
    assert sent == ["queued"]


@postgresql
def test_a_failed_notification_does_not_undo_the_admission(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(notification: str) -> None:
        raise RuntimeError("no connection")

    monkeypatch.setattr(notify, "_notify", broken)
    with transaction.atomic():
        call = service.queue()
    assert Call.objects.filter(pk=call.pk).exists()
