"""Runs the loops of a switch, and reports which of them are late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from django_poketalk.shared.logs import get_logger

from ..database_threads import TEMPORARY

logger = get_logger(__name__)

SLOW = 15.0  # seconds; a loop is late when a round ends this long after its pause


class Watchdog:
    """The loops of one switch by name, and when the next round of each should have ended."""

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
        """Work every `pause` seconds, and whenever `wake` is set. Errors are logged and retried."""
        self.record(name)  # so that a first round that hangs is detected too
        while not until.is_set():
            seconds = pause() if callable(pause) else pause
            try:
                await work()
                self.record(name, seconds)
            except TEMPORARY as error:  # a traceback adds nothing
                logger.error("Database error in %s: %s", name, error)
            except Exception:
                logger.exception("Error in %s. The switch continues.", name)
            waiting = [asyncio.ensure_future(event.wait()) for event in (until, wake) if event]
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for wait in waiting:
                wait.cancel()
        self.remove(name)

    def record(self, name: str, pause: float = 0.0) -> None:
        """Record that the loop starts, or has ended a round and pauses for `pause` seconds."""
        self._due[name] = time.monotonic() + pause + SLOW

    def remove(self, name: str) -> None:
        """Stop watching a loop that has ended as intended."""
        self._due.pop(name, None)

    @property
    def late(self) -> list[str]:
        """The names of the loops that should have ended a round by now."""
        now = time.monotonic()
        return sorted(loop for loop, due in self._due.items() if now > due)
