"""On PostgreSQL the database wakes the switches; elsewhere they look by themselves."""

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
def only_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that never looks by itself."""
    monkeypatch.setattr(engine, "POLL", NEVER)
    monkeypatch.setattr(engine, "POLL_LISTENING", NEVER)


def in_a_thread(function: Any) -> Any:
    return asyncio.to_thread(closing, function)


async def listening(switch: Engine) -> None:
    async with asyncio.timeout(30):
        while not switch.listener.is_listening:
            await asyncio.sleep(0.01)


@postgresql
def test_an_admission_wakes_the_switch(service: Service, only_woken: None) -> None:
    switch = Engine("test", SPEED)

    async def ask() -> None:
        await listening(switch)
        await in_a_thread(lambda: queue_in_one_piece(service))

    serve(switch, until=lambda: Call.objects.filter(state="ended").exists(), during=ask)
    assert Call.objects.get().status == 2


def queue_in_one_piece(service: Service) -> Call:
    with transaction.atomic():
        return service.queue(a="01")


@postgresql
def test_a_hang_up_wakes_the_switch(service: Service, only_woken: None) -> None:
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
def test_a_lost_connection_is_made_again_and_nothing_was_missed(
    service: Service, only_woken: None, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Engine("test", SPEED)

    def cut_and_ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(END_LISTENERS)
            assert cursor.fetchall()
        queue_in_one_piece(service)

    async def cut() -> None:
        await listening(switch)
        await in_a_thread(cut_and_ask)  # the call comes while nobody listens
        await eventually(lambda: Call.objects.filter(state="ended").count() == 1)
        await listening(switch)
        await in_a_thread(lambda: queue_in_one_piece(service))

    with caplog.at_level(logging.INFO, "django_poketalk"):
        serve(switch, until=lambda: Call.objects.filter(state="ended").count() == 2, during=cut)
    assert "polling only" in caplog.text
    assert caplog.text.count("Listening to the database.") >= 2


def test_where_nothing_wakes_it_the_switch_looks_by_itself(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "is_possible", staticmethod(lambda: False))
    switch = Engine("test", SPEED)

    async def ask() -> None:
        await asyncio.sleep(0.1)
        await in_a_thread(lambda: queue_in_one_piece(service))

    serve(switch, until=lambda: Call.objects.filter(state="ended").exists(), during=ask)
    assert not switch.listener.is_listening


@postgresql
def test_nobody_is_woken_before_the_commit_nor_by_what_was_undone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(notify, "_notify", told.append)
    with transaction.atomic():
        service.queue()
        assert told == []
    assert told == ["queued"]
    with transaction.atomic():
        service.queue()
        transaction.set_rollback(True)
    assert told == ["queued"]


@postgresql
def test_an_admission_outlives_a_notification_that_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(news: str) -> None:
        raise RuntimeError("no notification today")

    monkeypatch.setattr(notify, "_notify", broken)
    with transaction.atomic():
        call = service.queue()
    assert Call.objects.filter(pk=call.pk).exists()
