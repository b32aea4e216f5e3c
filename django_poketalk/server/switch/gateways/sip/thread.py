"""The one thread in which sippy runs.

It starts on first use and lives as long as the process. `call_soon` and `submit` may be
called from any thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from django_poketalk.shared.logs import get_logger

from . import sippy_patches
from .sippy_patches.dispatcher import Dispatcher

logger = get_logger(__name__)

START_TIMEOUT = 30.0  # seconds; importing sippy takes a while

Result = TypeVar("Result")

_lock = threading.Lock()
_dispatcher: Dispatcher | None = None


def call_soon(work: Callable[..., object], *args: object) -> None:
    """Run `work` in the SIP thread and return at once; its errors are logged."""
    _running().call_from_thread(work, *args)


def submit(work: Callable[..., Result], *args: object) -> Future[Result]:
    """Run `work` in the SIP thread; the future receives its result or its error."""
    future: Future[Result] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work(*args))
        except BaseException as error:
            future.set_exception(error)

    call_soon(run)
    return future


def _running() -> Dispatcher:
    global _dispatcher
    if _dispatcher is None:
        with _lock:
            if _dispatcher is None:
                ready: Future[Dispatcher] = Future()
                threading.Thread(target=_run, args=(ready,), name="sip", daemon=True).start()
                _dispatcher = ready.result(START_TIMEOUT)
    return _dispatcher


def _run(ready: Future[Dispatcher]) -> None:
    os.environ.setdefault("SIPLOG_BEND", "none")  # otherwise sippy would log to a file
    try:
        from sippy.Core.EventDispatcher import ED2

        ready.set_result(sippy_patches.install())
    except BaseException as error:
        ready.set_exception(error)
        return
    while True:
        try:
            ED2.loop()
        except Exception:
            logger.exception("The SIP thread continues after an error.")
