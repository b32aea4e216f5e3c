"""Warns about low balances while the switch runs, from a thread of its own.

A mail server may hang for minutes. Nothing of the switch waits for this thread: it is a daemon, and
its loop is not one of those that make the switch late.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from django.db import connections

from django_poketalk.shared.logs import get_logger

from ..billing import low_balance
from .database_threads import TEMPORARY

logger = get_logger(__name__)

PAUSE = 10.0  # seconds between two sweeps
STOP_TIMEOUT = 2.0  # seconds that a sweep may go on while the switch stops


@contextlib.asynccontextmanager
async def watching_balances() -> AsyncIterator[None]:
    """Sweep now and then, until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(stop,), name="poketalk-balances", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, STOP_TIMEOUT)


def _watch(stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            try:
                low_balance.sweep()
            except TEMPORARY as error:  # a traceback adds nothing
                logger.error("Balances could not be checked: %s", error)
                connections.close_all()  # the next sweep gets a new connection
            except Exception:
                logger.exception("Balances could not be checked.")
            stop.wait(PAUSE)
    finally:
        connections.close_all()
