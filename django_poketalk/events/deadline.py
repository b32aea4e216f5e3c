"""Limits how long an event waits for the database, so that it is answered even if the database does
not respond.

Not every database can interrupt a statement from outside. So another thread executes the work, and
the view waits for it. There are at most `THREADS` such threads. If all of them hang, further events
do not wait at all.
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
    """The work was not finished in time. It may still finish later."""


def within(seconds: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result or exception of `work(…)`. Raises `Overdue` if it takes longer than `seconds`.

    Inside a transaction, such as that of a test case, the work must use its connection. It is then
    executed in this thread, without a time limit.
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
    """Whether the time for the current work has passed, so that its result is not used."""
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
    """The threads of this process. They do not survive a fork."""
    return _Pool()
