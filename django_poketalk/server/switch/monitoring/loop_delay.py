"""How late the switch's event loop runs: whether the switch keeps up."""

from __future__ import annotations

import asyncio
import math
import time

INTERVAL = 0.25  # seconds between measurements


class LoopDelay:
    """The delay of one event loop. Await `measure` in it; it never returns."""

    def __init__(self) -> None:
        self._due = math.inf
        self._last = 0.0

    async def measure(self) -> None:
        """Measure how late a timer fires, again and again."""
        while True:
            self._due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self._last = time.monotonic() - self._due

    @property
    def seconds(self) -> float:
        """The delay; 0 before the first measurement."""
        return max(self._last, time.monotonic() - self._due)
