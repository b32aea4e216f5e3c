"""Until when a switch may act on its calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Lease:
    """A lease measured by the monotonic clock. `lapsed` is called when it lapses, and again each
    time that `holds()` returns False.
    """

    def __init__(self, lapsed: Callable[[], None]) -> None:
        self._lapsed = lapsed
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def left(self) -> float:
        """Seconds left; negative when the lease has lapsed."""
        return self._until - time.monotonic()

    def keep_until(self, until: float) -> None:
        """Extend the lease until this time of `time.monotonic()`."""
        self._until = until
        self.cancel()
        self._timer = asyncio.get_running_loop().call_later(self.left, self.holds)

    def holds(self) -> bool:
        """Whether the lease holds. If not, others may own the calls, and this switch drops them."""
        if time.monotonic() < self._until:
            return True
        self._lapsed()
        return False

    def cancel(self) -> None:
        """Cancel the timer that watches the lease."""
        if self._timer is not None:
            self._timer.cancel()
