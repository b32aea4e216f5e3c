"""The database from the event loop: blocking functions in a few threads, tried again when the
database is busy or gone for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds
REST = 3  # times as long as a piece of work took, is the rest before the next of its kind
LONGEST_REST = 0.1  # seconds


def batch_pause(took: float, least: float) -> float:
    """Seconds for which work may gather before it is done together, when the last piece of its kind
    took so long: the busier the machine and the database are, the fewer transactions there are, and
    the larger.
    """
    return max(least, min(REST * took, LONGEST_REST))


class DatabaseThreads:
    """Runs functions in threads of its own that keep their connections.

    A function is one transaction and may be run again: when the database is locked, breaks off a
    deadlock or has lost the connection, it is, for up to `patience` seconds.
    """

    def __init__(self, threads: int, patience: float) -> None:
        self._threads = threads
        self._patience = patience
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="poketalk-database")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns or raises."""
        loop = asyncio.get_running_loop()
        give_up = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            try:
                return await loop.run_in_executor(
                    self._pool, lambda: _on_a_connection(function, *args, **kwargs)
                )
            except (OperationalError, InterfaceError) as error:
                if time.monotonic() + pause > give_up:
                    raise
                if pause == FIRST_PAUSE:
                    logger.warning("%s waits for the database: %s", function.__name__, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def close(self) -> None:
        """Wait for what is running, and close each thread's connections."""
        together = threading.Barrier(self._threads)

        def close_connections() -> None:
            connections.close_all()
            together.wait()  # so that no thread takes the task of another

        for _ in range(self._threads):
            self._pool.submit(close_connections)
        self._pool.shutdown(cancel_futures=False)


def _on_a_connection(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError):
        connections.close_all()  # whatever ails this one, the next is new
        raise
