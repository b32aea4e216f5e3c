"""The switch's clocks: call time, which simulated phones can speed up, and the database's time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Monotonic call seconds, from an arbitrary zero. `speed` of them pass in a real second."""

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"The speed of a clock must be a number above 0, not {speed}.")
        self.speed = speed

    def now(self) -> float:
        """The time in call seconds."""
        return time.monotonic() * self.speed

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Schedule the callback in `delay` call seconds."""
        return asyncio.get_running_loop().call_later(max(0.0, delay) / self.speed, callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Schedule the callback at `when`, a time of `now()`."""
        return self.call_later(when - self.now(), callback)


class DatabaseTime:
    """An estimate of the database's time of day that needs no query: a host's clock may be wrong,
    but its seconds are as long as the database's. There is none before the first measurement.
    """

    KEPT = 10  # measurements; the quickest is the most accurate

    def __init__(self) -> None:
        self._measurements: deque[tuple[float, float]] = deque(maxlen=self.KEPT)

    def add(self, moment: datetime, began: float, ended: float) -> None:
        """Add a query's result, and when the query began and ended by `time.monotonic()`."""
        self._measurements.append((ended - began, moment.timestamp() - (began + ended) / 2))

    def now(self) -> datetime:
        """The estimated time, aware. `RuntimeError` if it was never measured."""
        if not self._measurements:
            raise RuntimeError("The database's time has not been measured.")
        _took, offset = min(self._measurements)
        return datetime.fromtimestamp(time.monotonic() + offset, UTC)
