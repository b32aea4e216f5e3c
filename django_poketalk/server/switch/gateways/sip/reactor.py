"""What the SIP thread waits for: datagrams, work from other threads, and the next timer.

sippy's own dispatcher sleeps in hundredths of a second and is woken by a signal to the thread that
first imported sippy; each socket has threads of its own for reading and for writing, so that a
message passes through three threads, and waits in each for Python's lock. Here it is one.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

LONGEST_WAIT = 1.0  # seconds
RINGS = 4096  # that are taken at a time, each of one byte


class Reactor:
    """Takes the place of sippy's `ElPeriodic`, whose methods it has.

    `next_timer` tells when the next timer is due, by `time.monotonic()`; None for never.
    """

    def __init__(self, next_timer: Callable[[], float | None]) -> None:
        self._next_timer = next_timer
        self._asked: deque[Callable[[], object]] = deque()
        self._rung = False
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self.watch(self._bell, self._on_ring)

    def watch(self, source: socket.socket, read: Callable[[], object]) -> None:
        """Have `read` called whenever there is something to read, which it is not to raise for."""
        self._selector.register(source, selectors.EVENT_READ, read)

    def unwatch(self, source: socket.socket) -> None:
        """Leave the socket alone from now on."""
        self._selector.unregister(source)

    def call_from_thread(self, work: Callable[..., object], *args: Any) -> None:
        """Have the SIP thread do this soon, in the order in which it was asked to."""
        self._asked.append(partial(work, *args))
        if not self._rung:
            self._rung = True
            with contextlib.suppress(BlockingIOError):  # full of rings
                self._ringer.send(b"!")

    def procrastinate(self) -> None:
        """Wait for something to do, and do it; or until the next timer is due."""
        for key, _ in self._selector.select(self._patience()):
            key.data()

    def _patience(self) -> float:
        due = self._next_timer()
        if due is None:
            return LONGEST_WAIT
        return min(LONGEST_WAIT, max(0.0, due - time.monotonic()))

    def _on_ring(self) -> None:
        self._bell.recv(RINGS)
        self._rung = False  # before the work is looked at: what comes later rings again
        while self._asked:
            self._asked.popleft()()
