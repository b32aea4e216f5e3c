"""The time until which a switch may act on its calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Lease:
    """Kept by the monotonic clock, which no one sets. `lapsed` is called as soon as it is over, and
    again whenever it is asked for in vain.
    """

    def __init__(self, lapsed: Callable[[], None]) -> None:
        self._lapsed = lapsed
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def left(self) -> float:
        """Seconds that it lasts; below 0 when it is over."""
        return self._until - time.monotonic()

    def keep_until(self, until: float) -> None:
        """It was renewed, and lasts until this time of `time.monotonic()`."""
        self._until = until
        self.let_go()
        self._timer = asyncio.get_running_loop().call_later(self.left, self.holds)

    def holds(self) -> bool:
        """Whether the leases still hold. When they do not, other switches may have the calls by
        now, and all of them are dropped.
        """
        if time.monotonic() < self._until:
            return True
        self._lapsed()
        return False

    def let_go(self) -> None:
        """Look at it no more."""
        if self._timer is not None:
            self._timer.cancel()
