"""Wakes a Celery worker for a queued request, without ever waiting for the broker."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from functools import cache

from celery import current_app

PLACE_CALL = "poketalk.place_call"  # the task's name in `tasks`

logger = logging.getLogger(__name__)


def wake(pk: int, delay: float = 0) -> None:
    """Have a worker place this request, in `delay` seconds. Never waits for the broker and never
    fails.

    Publishing happens in a thread of its own, since a broker that is gone or frozen can hold a
    publisher for as long as it likes. A wake-up that is lost costs time and nothing else: the sweep
    finds the row.
    """
    if current_app.conf.task_always_eager:
        current_app.tasks[PLACE_CALL].apply_async((pk,))
    else:
        _publisher().put((pk, delay))


class _Publisher:
    """One daemon thread that hands wake-ups to the broker; drops them when the broker has been
    stuck for too long.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._waiting: queue.Queue[tuple[int, float]] = queue.Queue(maxsize=10_000)
        self._unfinished = 0
        self._finished_one = threading.Condition()
        threading.Thread(target=self._run, name="poketalk-publisher", daemon=True).start()
        atexit.register(self._drain)

    def put(self, wake_up: tuple[int, float]) -> None:
        try:
            with self._finished_one:
                self._waiting.put_nowait(wake_up)
                self._unfinished += 1
        except queue.Full:
            logger.warning("The broker is stuck: call %s waits for the sweep.", wake_up[0])

    def _run(self) -> None:
        while True:
            pk, delay = self._waiting.get()
            try:
                current_app.send_task(PLACE_CALL, (pk,), countdown=delay or None, retry=False)
            except Exception as error:
                logger.warning(
                    "The broker did not take call %s, which waits for the sweep: %s", pk, error
                )
            finally:
                with self._finished_one:
                    self._unfinished -= 1
                    self._finished_one.notify_all()

    def _drain(self) -> None:
        """Let a short-lived process (a shell, a command) hand over its last wake-ups: two seconds
        at the most. A fork has a copy of the queue, but not the thread that empties it.
        """
        if os.getpid() != self._process:
            return
        with self._finished_one:
            self._finished_one.wait_for(lambda: not self._unfinished, timeout=2)


@cache
def _publisher_of(process: int) -> _Publisher:
    return _Publisher()


def _publisher() -> _Publisher:
    """This process's publisher: threads do not survive a fork, so each process makes its own."""
    return _publisher_of(os.getpid())
