"""Defect: a message passes through three threads, and waits for Python's GIL in each of them.

Upstream: `sippy/Core/EventDispatcher.py`, `EventDispatcher2.__init__` and `loop`. The dispatcher
wakes up a hundred times a second (`ElPeriodic`), or on a signal to the thread that first imported
sippy, and warns of "Bad Stuff" when a timer is set in any other thread. `Dispatcher` replaces
`ElPeriodic`: one selector waits for datagrams, work from other threads, and the next timer.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from django_poketalk.shared.logs import get_logger

logger = get_logger(__name__)

MAX_WAIT = 1.0  # seconds
WAKE_UPS = 4096  # read at once, one byte each


class Dispatcher:
    """Has the methods of `ElPeriodic` that sippy calls.

    `next_timer` returns when the next timer is due, by `time.monotonic()`; None if there is none.
    """

    def __init__(self, next_timer: Callable[[], float | None]) -> None:
        self._next_timer = next_timer
        self._work: deque[Callable[[], object]] = deque()
        self._woken = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self.watch(self._wake_in, self._run_work)

    def watch(self, source: socket.socket, read: Callable[[], object]) -> None:
        """Call `read`, which must not raise, whenever the socket is readable."""
        self._selector.register(source, selectors.EVENT_READ, read)

    def unwatch(self, source: socket.socket) -> None:
        """Stop watching the socket."""
        self._selector.unregister(source)

    def call_from_thread(self, work: Callable[..., object], *args: object) -> None:
        """Run `work` soon in the SIP thread, in the order of the calls. Errors are logged."""
        self._work.append(partial(work, *args))
        if not self._woken:
            self._woken = True
            with contextlib.suppress(BlockingIOError):  # enough wake-ups are pending
                self._wake_out.send(b"!")

    def procrastinate(self) -> None:
        """Wait for work or datagrams and handle them, at most until the next timer is due."""
        due = self._next_timer()
        wait = MAX_WAIT if due is None else min(MAX_WAIT, max(0.0, due - time.monotonic()))
        for key, _ in self._selector.select(wait):
            key.data()

    def _run_work(self) -> None:
        self._wake_in.recv(WAKE_UPS)
        self._woken = False  # before reading the work, so that later work wakes us up again
        while self._work:
            try:
                self._work.popleft()()
            except Exception:
                logger.exception("An error in the SIP thread.")


def install() -> Dispatcher:
    """Make the current thread sippy's, even if another thread imported it first."""
    from sippy.Core.EventDispatcher import ED2

    dispatcher = Dispatcher(lambda: ED2.tlisteners[0].etime.monot if ED2.tlisteners else None)
    ED2.my_ident, ED2.elp = threading.get_ident(), dispatcher
    return dispatcher
