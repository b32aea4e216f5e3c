"""Limits how long a view waits for the database, so that it answers even if the database does not
respond.

Not every database can interrupt a statement from outside. So another thread executes the work, and
the view waits for it.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connection

P = ParamSpec("P")
T = TypeVar("T")

_running = threading.local()


class Overdue(Exception):
    """The work was not finished in time. It may still finish later."""


def is_over() -> bool:
    """Whether the time for the current work has passed, so that its result is not used."""
    return time.monotonic() > getattr(_running, "until", float("inf"))


class Deadline:
    """Executes work in at most `threads` threads of each process, for a limited time.

    If all threads hang, further work is overdue at once or, if it `queues`, when its time is over.
    Work of one owner uses at most `share` of the threads, so that it cannot keep all from others.
    """

    def __init__(self, name: str, threads: int, *, share: int, queues: bool = False) -> None:
        self.threads = threads
        self.share = share
        self._name = name
        self._queues = queues
        self._pools: dict[int, _Pool] = {}  # by process: threads do not survive a fork

    def within(self, seconds: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result or exception of `work(…)`. Raises `Overdue` if it takes longer than `seconds`.

        Inside a transaction, such as that of a test case, the work must use its connection. It is
        then executed in this thread, without a time limit.
        """
        return self.within_share(None, seconds, work, *args, **kwargs)

    def within_share(
        self,
        owner: Hashable,
        seconds: float,
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same, for work of this owner; None is nobody, whose work has no share."""
        if connection.in_atomic_block:
            return work(*args, **kwargs)
        until = time.monotonic() + seconds
        pool = self._pool
        if not pool.take(owner, until if self._queues else 0):
            raise Overdue
        context = contextvars.copy_context()  # such as the active language
        future = pool.submit(owner, lambda: context.run(work, *args, **kwargs), until)
        try:
            return future.result(timeout=max(0.0, until - time.monotonic()))
        except TimeoutError:
            raise Overdue from None

    @property
    def free(self) -> threading.Semaphore:
        """The threads of this process that are not at work."""
        return self._pool.free

    @property
    def _pool(self) -> _Pool:
        return self._pools.get(os.getpid()) or self._pools.setdefault(
            os.getpid(), _Pool(self._name, self.threads, self.share)
        )


class _Pool:
    def __init__(self, name: str, threads: int, share: int) -> None:
        self.free = threading.Semaphore(threads)
        # Executors of one thread each, which its first work starts. The one that became free last
        # works next: its connection and prepared statements are likely to be in the caches. The
        # threads of a single executor would take turns, and wake each other up.
        self._idle = [ThreadPoolExecutor(1, f"{name}-{number}") for number in range(threads)]
        self._share = share
        self._at_work: Counter[Hashable] = Counter()  # threads of each owner
        self._given_back = threading.Condition()

    def take(self, owner: Hashable, until: float) -> bool:
        """Take a thread for the owner, waiting for one until then. Returns whether there was one.

        The owner's share comes first: its waiting work must not take threads from others.
        """
        if not self._take_share(owner, until):
            return False
        if self.free.acquire(timeout=max(0.0, until - time.monotonic())):
            return True
        self._give_back(owner)
        return False

    def submit(self, owner: Hashable, work: Callable[[], T], until: float) -> Future[T]:
        """Start the work in the thread that was taken."""
        thread = self._idle.pop()
        return thread.submit(self._run, thread, owner, work, until)

    def _run(
        self, thread: ThreadPoolExecutor, owner: Hashable, work: Callable[[], T], until: float
    ) -> T:
        _running.until = until
        try:
            close_old_connections()
            return work()
        finally:
            close_old_connections()
            self._idle.append(thread)
            self.free.release()
            self._give_back(owner)

    def _take_share(self, owner: Hashable, until: float) -> bool:
        if owner is None:
            return True
        with self._given_back:
            if not self._given_back.wait_for(
                lambda: self._at_work[owner] < self._share, max(0.0, until - time.monotonic())
            ):
                return False
            self._at_work[owner] += 1
            return True

    def _give_back(self, owner: Hashable) -> None:
        if owner is None:
            return
        with self._given_back:
            self._at_work[owner] -= 1
            if not self._at_work[owner]:
                del self._at_work[owner]
            self._given_back.notify_all()
