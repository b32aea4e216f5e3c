"""Wakes a Celery worker for a queued request, without waiting for the broker."""

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
    """Make a worker place this request in `delay` seconds. Never waits for the broker, and raises
    nothing.

    A separate thread publishes the task, because a broker that is down or frozen can block a
    publisher for any time. If the task is lost, the next sweep finds the row.
    """
    if current_app.conf.task_always_eager:
        current_app.tasks[PLACE_CALL].apply_async((pk,))
    else:
        _publisher().put((pk, delay))


class _Publisher:
    """A daemon thread that publishes tasks. If the broker is stuck until the queue is full, new
    tasks are dropped.
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
                    "The broker did not accept call %s, which waits for the sweep: %s", pk, error
                )
            finally:
                with self._finished_one:
                    self._unfinished -= 1
                    self._finished_one.notify_all()

    def _drain(self) -> None:
        """Wait up to two seconds for the last tasks, so that a short-lived process, such as a
        command, can publish them. A forked process has a copy of the queue but not the thread, so
        it does not wait.
        """
        if os.getpid() != self._process:
            return
        with self._finished_one:
            self._finished_one.wait_for(lambda: not self._unfinished, timeout=2)


@cache
def _publisher_of(process: int) -> _Publisher:
    return _Publisher()


def _publisher() -> _Publisher:
    """The publisher of this process. Threads do not survive a fork, so each process has its own."""
    return _publisher_of(os.getpid())
