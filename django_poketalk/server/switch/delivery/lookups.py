"""Looks names up in threads, a few for each account, so that one customer's slow name servers do
not delay another's events.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django_poketalk.server.conf import settings

THREADS = 64  # look-ups in time, of all accounts
PER_ACCOUNT = 4  # look-ups of one account, including those that are overdue

account: ContextVar[int] = ContextVar("account", default=0)  # whose event is being sent


class LookUps:
    """Runs blocking look-ups, each in a thread of its own, for at most `EVENT_TIMEOUT` seconds.

    A thread cannot be stopped: an overdue look-up keeps its account's share until it ends, but
    makes room for other accounts.
    """

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(THREADS)
        self._shares: dict[int, asyncio.Semaphore] = {}

    async def run(self, look_up: Callable[..., Any], *args: Any) -> Any:
        """The result or exception of `look_up`. `TimeoutError` if it takes too long."""
        share = self._shares.setdefault(account.get(), asyncio.Semaphore(PER_ACCOUNT))
        async with asyncio.timeout(settings.event_timeout):
            await share.acquire()
            thread = None
            try:
                async with self._room:
                    result, thread = self._start(share, look_up, *args)
                    return await result
            finally:
                if thread is None:  # the thread releases it otherwise
                    share.release()

    def _start(
        self, share: asyncio.Semaphore, look_up: Callable[..., Any], *args: Any
    ) -> tuple[asyncio.Future[Any], threading.Thread]:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()

        def finish(found: Any, error: Exception | None) -> None:
            share.release()
            if result.done():  # overdue
                return
            if error is None:
                result.set_result(found)
            else:
                result.set_exception(error)

        def run() -> None:
            found, failure = None, None
            try:
                found = look_up(*args)
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, found, failure)

        # Not a pool's: the interpreter would wait for its threads at exit.
        thread = threading.Thread(target=run, name="poketalk-resolver", daemon=True)
        thread.start()
        return result, thread
