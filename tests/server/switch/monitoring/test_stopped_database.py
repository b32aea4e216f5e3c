"""A switch whose database stops or freezes is not ready until the database is back."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
from django.db import connection

from django_poketalk.server.switch import engine
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.monitoring import snapshot
from tests.own_postgresql import own_postgresql

from ..conftest import SPEED
from .test_http import fetch, watch

PATIENCE = 60.0  # real seconds


@pytest.mark.needs("postgres")
@pytest.mark.skipif(connection.vendor != "postgresql", reason="It replaces a PostgreSQL.")
@pytest.mark.django_db(transaction=True)
def test_a_switch_without_its_database_is_not_ready_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.POKETALK_SERVER = {"LEASE": 2}  # also limits retries
    monkeypatch.setattr(snapshot, "DATABASE_TIMEOUT", 2.0)
    monkeypatch.setattr(engine, "BEAT", 0.2)

    async def check(port: int) -> None:
        await reaches(port, 200, "")
        for lose, restore in (
            (lambda: server.signal(signal.SIGSTOP), lambda: server.signal(signal.SIGCONT)),
            (server.stop, server.start),
        ):
            await asyncio.to_thread(lose)
            try:
                await reaches(port, 503, "database")
            finally:
                await asyncio.to_thread(restore)
            await reaches(port, 200, "")

    with own_postgresql(monkeypatch) as server:
        watch(Engine("test", SPEED), lambda: True, check)


async def reaches(port: int, status: int, problem: str) -> None:
    """Wait until `/readyz` answers with this status and problem."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await fetch(port, "/readyz"))[0] != status or problem not in answer[1]:
            await asyncio.sleep(0.05)
