"""How many calls a switch claims: within its limits, and only while its writes keep up. Other calls
are left to other switches, or fail when they have been queued too long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django_poketalk.server.conf import settings

from ..database_threads import DatabaseThreads
from . import claims
from .plan import ClaimedCall

logger = logging.getLogger(__name__)

BATCH = 50  # calls claimed at once
OVERLOADED = 2.0  # seconds that a write may wait while new calls are claimed


class RateLimit:
    """A rate limit per second; up to one second's worth of unused room carries over. Pure: `now` is
    in seconds of any monotonic clock.
    """

    def __init__(self) -> None:
        self._left = 0.0
        self._at: float | None = None

    def room(self, per_second: int, now: float) -> int:
        """How many are allowed now."""
        passed = 1.0 if self._at is None else max(0.0, now - self._at)
        self._left = min(per_second, self._left + passed * per_second)
        self._at = now
        return int(self._left + 1e-9)

    def use(self, number: int) -> None:
        """Use up room."""
        self._left -= number


class Intake:
    """Claims calls for one switch. `live` returns how many it has, `backlog` the seconds that its
    oldest write has waited.
    """

    def __init__(
        self,
        switch: str,
        threads: DatabaseThreads,
        kinds: tuple[str, ...],
        live: Callable[[], int],
        backlog: Callable[[], float],
    ) -> None:
        self._switch = switch
        self._threads = threads
        self._kinds = kinds
        self._live = live
        self._backlog = backlog
        self._rate_limit = RateLimit()
        self.is_limited = False  # whether the last round may have left calls in the queue
        self._is_overloaded = False

    async def claim(self) -> tuple[list[ClaimedCall], bool]:
        """Claim calls. Return them, and whether to try again at once."""
        room = self._room()
        self.is_limited = room < BATCH
        claimed: list[ClaimedCall] = []
        if self.is_limited:
            # Overdue calls fail without ringing anyone, so no limit applies to them.
            claimed += await self._claim(BATCH, overdue=True)
        if room > 0:
            taken = await self._claim(room, overdue=False)
            self._rate_limit.use(sum(each.refused is None for each in taken))
            claimed += taken
        return claimed, len(claimed) >= BATCH

    async def _claim(self, limit: int, overdue: bool) -> list[ClaimedCall]:
        return await self._threads.run(
            claims.claim, self._switch, limit, self._kinds, overdue=overdue
        )

    def _room(self) -> int:
        room = BATCH
        if settings.switch_calls is not None:
            room = min(room, settings.switch_calls - self._live())
        if settings.switch_calls_per_second is not None:
            room = min(
                room, self._rate_limit.room(settings.switch_calls_per_second, time.monotonic())
            )
        return max(0, room) if self._keeps_up() else 0

    def _keeps_up(self) -> bool:
        overloaded = self._backlog() > OVERLOADED
        if overloaded and not self._is_overloaded:
            logger.warning("Writes take too long. Claiming no new calls until they catch up.")
        self._is_overloaded = overloaded
        return not overloaded
