"""The one thread in which sippy lives.

Started when it is first needed and kept for the life of the process. Work comes in by `call`, which
may be used from any thread; what goes wrong with it is logged. sippy's event loop belongs to
whichever thread imports it first, and warns of "Bad Stuff" in any other: this thread takes it over,
whoever has imported what.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .reactor import Reactor

logger = logging.getLogger(__name__)

START_WITHIN = 30.0  # seconds that importing sippy may take

Result = TypeVar("Result")

_starting = threading.Lock()
_reactor: Reactor | None = None


def call(work: Callable[..., object], *args: Any) -> None:
    """Have the thread do this; returns at once."""
    _started().call_from_thread(_guarded, work, *args)


def ask(work: Callable[..., Result], *args: Any) -> Future[Result]:
    """Have the thread do this; what comes of it."""
    future: Future[Result] = Future()

    def answer() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work(*args))
        except BaseException as error:
            future.set_exception(error)

    _started().call_from_thread(answer)
    return future


def watch(source: socket.socket, read: Callable[[], object]) -> None:
    """In the thread: have `read` called there whenever there is something to read."""
    _started().watch(source, read)


def unwatch(source: socket.socket) -> None:
    """In the thread: leave a socket alone."""
    _started().unwatch(source)


def _guarded(work: Callable[..., object], *args: Any) -> None:
    try:
        work(*args)
    except Exception:
        logger.exception("An error in the SIP thread.")


def _started() -> Reactor:
    global _reactor
    if _reactor is None:
        with _starting:
            if _reactor is None:
                ready: Future[Reactor] = Future()
                threading.Thread(target=_run, args=(ready,), name="sip", daemon=True).start()
                _reactor = ready.result(START_WITHIN)
    return _reactor


def _run(ready: Future[Reactor]) -> None:
    os.environ.setdefault("SIPLOG_BEND", "none")  # its own log would go to a file
    try:
        from sippy.Core.EventDispatcher import ED2

        from . import sippy_patches

        sippy_patches.apply()
        ED2.my_ident = threading.get_ident()
        ED2.elp = reactor = Reactor(
            lambda: ED2.tlisteners[0].etime.monot if ED2.tlisteners else None
        )
    except BaseException as error:
        ready.set_exception(error)
        return
    ready.set_result(reactor)
    while True:
        try:
            ED2.loop()
        except Exception:
            logger.exception("The SIP thread goes on after an error.")
