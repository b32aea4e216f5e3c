"""Runs blocking database functions from the event loop, in a few threads, and retries them when the
database is busy or briefly unavailable.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connection, connections

from django_poketalk.server.database.idle_transactions import limit_idle_transactions
from django_poketalk.shared.logs import get_logger

logger = get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between retries
BATCH_PAUSE_FACTOR = 3  # pause before the next batch, relative to the duration of the last one
LONGEST_BATCH_PAUSE = 0.1  # seconds
# The last one is what PostgreSQL raises after a transaction that was idle for too long.
TEMPORARY = (OperationalError, InterfaceError, InternalError)


def batch_pause(took: float, least: float) -> float:
    """Seconds to gather work for the next batch when the last one took `took`. The busier the
    machine and the database are, the fewer and larger the transactions become.
    """
    return max(least, min(BATCH_PAUSE_FACTOR * took, LONGEST_BATCH_PAUSE))


class DatabaseThreads:
    """Runs functions in its own threads, which keep their connections.

    `responded_at` is when the database responded last, by `time.monotonic()`.

    Each function must be one transaction and idempotent: it is retried for up to `retry_for`
    seconds when the database is locked, aborts a deadlock or has lost the connection. A thread that
    stops in a transaction keeps its locks for `idle_transactions.LIMIT` seconds at most.
    """

    def __init__(self, threads: int, retry_for: float) -> None:
        self._threads = threads
        self._retry_for = retry_for
        self.responded_at = time.monotonic()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="poketalk-database")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + self._retry_for
        pause = FIRST_PAUSE
        while True:
            try:
                result = await loop.run_in_executor(
                    self._pool, lambda: _call(function, *args, **kwargs)
                )
                self.responded_at = time.monotonic()
                return result
            except TEMPORARY as error:
                if time.monotonic() + pause > deadline:
                    raise
                if pause == FIRST_PAUSE:
                    logger.warning("Retrying %s, database error: %s", function.__name__, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def close(self) -> None:
        """Wait for running functions, and close each thread's connections."""
        barrier = threading.Barrier(self._threads)

        def close_connections() -> None:
            connections.close_all()
            barrier.wait()  # so that each thread runs this once

        for _ in range(self._threads):
            self._pool.submit(close_connections)
        self._pool.shutdown(cancel_futures=False)


def _call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        if connection.connection is None:
            limit_idle_transactions()
        return function(*args, **kwargs)
    except TEMPORARY:
        connections.close_all()  # the next attempt gets a new connection
        raise
