"""Runs the periodic work of a switch, and knows which of it is late."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from django.db import InterfaceError, OperationalError

logger = logging.getLogger(__name__)

SLOW = 15.0  # seconds beyond its pause after which a loop is late


class Watchdog:
    """The loops of one switch, by name, and when each is due to have done its work again."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    async def repeat(
        self,
        name: str,
        pause: float | Callable[[], float],
        work: Callable[[], Awaitable[None]],
        wake: asyncio.Event | None = None,
        *,
        until: asyncio.Event,
    ) -> None:
        """Do the work every `pause` seconds, and whenever `wake` is set. Errors are logged, and the
        work is tried again.
        """
        self.record(name)  # so that a first round that hangs is noticed too
        while not until.is_set():
            seconds = pause() if callable(pause) else pause
            try:
                await work()
                self.record(name, seconds)
            except (OperationalError, InterfaceError) as error:  # a traceback would say no more
                logger.error("Database error in %s: %s", name, error)
            except Exception:
                logger.exception("Error in %s. The switch continues.", name)
            waiting = [asyncio.ensure_future(event.wait()) for event in (until, wake) if event]
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for wait in waiting:
                wait.cancel()
        self.remove(name)

    def record(self, name: str, pause: float = 0.0) -> None:
        """The loop starts, or has done its work and pauses for `pause` seconds."""
        self._due[name] = time.monotonic() + pause + SLOW

    def remove(self, name: str) -> None:
        """The loop has ended as intended."""
        self._due.pop(name, None)

    @property
    def late(self) -> list[str]:
        """The loops that should have done their work by now."""
        now = time.monotonic()
        return sorted(loop for loop, due in self._due.items() if now > due)
