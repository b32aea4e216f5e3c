"""The switch's clocks: call seconds, which for simulated phones may pass faster than real ones, and
the database's time of day.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Seconds of calls: monotonic, from an arbitrary zero. `speed` of them pass in a real one."""

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"A clock's speed is a number above 0, not {speed}.")
        self.speed = speed

    def now(self) -> float:
        """The time in call seconds."""
        return time.monotonic() * self.speed

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Have the running loop call back after `delay` call seconds."""
        return asyncio.get_running_loop().call_later(max(0.0, delay) / self.speed, callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Have the running loop call back at `when`, a time of `now()`."""
        return self.call_later(when - self.now(), callback)


class DatabaseTime:
    """The database's time of day without asking it each time: a host's own clock may be wrong, but
    its seconds are as long as others'. Until it is measured, the host's clock.
    """

    KEPT = 10  # measurements, of which the quickest is the most exact

    def __init__(self) -> None:
        self._measured: deque[tuple[float, float]] = deque(maxlen=self.KEPT)

    def measured(self, moment: datetime, asked: float, answered: float) -> None:
        """Take what the database said; `asked` and `answered` are times of `time.monotonic()`."""
        self._measured.append((answered - asked, moment.timestamp() - (asked + answered) / 2))

    def now(self) -> datetime:
        """The time, aware."""
        if not self._measured:
            return datetime.now(UTC)
        _took, offset = min(self._measured)
        return datetime.fromtimestamp(time.monotonic() + offset, UTC)
