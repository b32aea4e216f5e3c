"""Stops waiting for the database after a while, so that an event is answered even when the database
is frozen.

A statement that hangs cannot be interrupted from the outside on every database, so the work is done
by another thread and only waited for. Threads that hang are never more than `THREADS`; once all of
them do, nobody waits any longer at all.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connection

THREADS = 16

_waiting = threading.local()

P = ParamSpec("P")
T = TypeVar("T")


class Overdue(Exception):
    """The work was not done in time. It may still be done later."""


def within(seconds: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`work(…)`, whose result or exception comes within `seconds`; else raises `Overdue`.

    Inside a transaction, as in a test case, the work belongs to the transaction: then it is done
    here, however long it takes.
    """
    if connection.in_atomic_block:
        return work(*args, **kwargs)
    pool = _pool(os.getpid())
    if not pool.free.acquire(blocking=False):
        raise Overdue
    until = time.monotonic() + seconds
    future = pool.executor.submit(pool.run, lambda: work(*args, **kwargs), until)
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        raise Overdue from None


def is_over() -> bool:
    """Whether nobody waits any more for the work that asks this: its result comes too late."""
    return time.monotonic() > getattr(_waiting, "until", float("inf"))


class _Pool:
    def __init__(self) -> None:
        self.free = threading.Semaphore(THREADS)
        self.executor = ThreadPoolExecutor(THREADS, thread_name_prefix="poketalk-events")

    def run(self, work: Callable[[], T], until: float) -> T:
        _waiting.until = until
        try:
            close_old_connections()
            return work()
        finally:
            close_old_connections()
            self.free.release()


@cache
def _pool(process: int) -> _Pool:
    """This process's threads: they do not survive a fork."""
    return _Pool()
