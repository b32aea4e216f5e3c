"""Gives a Celery worker work on a call, without waiting for the broker."""

from __future__ import annotations

import atexit
import os
import queue
import threading
from functools import cache

from celery import current_app

from ..shared.logs import about_call, get_logger

# The tasks' names in `tasks`
PLACE_CALL = "poketalk.place_call"
HANG_UP_CALL = "poketalk.hang_up_call"
REPORT = "poketalk.report"

logger = get_logger(__name__)


def wake(pk: int, delay: float = 0) -> None:
    """Make a worker place this request in `delay` seconds. Never waits for the broker, and raises
    nothing.

    A separate thread publishes the task, because a broker that is down or frozen can block a
    publisher for any time. If the task is lost, the next sweep finds the row.
    """
    _publish(PLACE_CALL, pk, delay)


def hang_up(pk: int, delay: float = 0) -> None:
    """Make a worker ask the service to end this call in `delay` seconds. Like `wake`, except that
    a lost task is not repeated: the answer to the call's next event ends it then.
    """
    if not (delay and current_app.conf.task_always_eager):  # an eager task does not wait
        _publish(HANG_UP_CALL, pk, delay)


def _publish(task: str, pk: int, delay: float) -> None:
    if current_app.conf.task_always_eager:
        current_app.tasks[task].apply_async((pk,))
    else:
        _publisher().put((task, pk, delay))


class _Publisher:
    """A daemon thread that publishes tasks. If the broker is stuck until the queue is full, new
    tasks are dropped.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._waiting: queue.Queue[tuple[str, int, float]] = queue.Queue(maxsize=10_000)
        self._unfinished = 0
        self._finished_one = threading.Condition()
        threading.Thread(target=self._run, name="poketalk-publisher", daemon=True).start()
        atexit.register(self._drain)

    def put(self, work: tuple[str, int, float]) -> None:
        try:
            with self._finished_one:
                self._waiting.put_nowait(work)
                self._unfinished += 1
        except queue.Full:
            with about_call(work[1], "publish"):
                logger.warning("The broker is stuck: %s of call %s is not published.", *work[:2])

    def _run(self) -> None:
        while True:
            task, pk, delay = self._waiting.get()
            try:
                current_app.send_task(task, (pk,), countdown=delay or None, retry=False)
            except Exception as error:
                with about_call(pk, "publish"):
                    logger.warning("The broker did not accept %s of call %s: %s", task, pk, error)
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
