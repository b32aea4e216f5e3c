"""The switch's clock: call seconds, which for simulated phones may pass faster than real ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


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
