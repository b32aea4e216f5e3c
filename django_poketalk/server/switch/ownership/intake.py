"""Which calls a switch takes, and how many: no more than its limits allow and its writes keep up
with. What it leaves is taken by another switch, or fails when it has waited too long.
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

AT_ONCE = 50  # calls taken at one look
OVERLOADED = 2.0  # seconds that a write may wait before new calls are left to others


class Pace:
    """So many in a second and no more, with what was not used in the last second. Pure: `now` is
    seconds from any zero.
    """

    def __init__(self) -> None:
        self._left = 0.0
        self._at: float | None = None

    def room(self, per_second: int, now: float) -> int:
        """How many may come now."""
        passed = 1.0 if self._at is None else max(0.0, now - self._at)
        self._left = min(per_second, self._left + passed * per_second)
        self._at = now
        return int(self._left + 1e-9)

    def take(self, number: int) -> None:
        """So many have come."""
        self._left -= number


class Intake:
    """Takes calls for one switch. `live` says how many it has, `backlog` the seconds that its
    oldest write has waited.
    """

    def __init__(
        self,
        switch: str,
        database: DatabaseThreads,
        kinds: tuple[str, ...],
        live: Callable[[], int],
        backlog: Callable[[], float],
    ) -> None:
        self._switch = switch
        self._database = database
        self._kinds = kinds
        self._live = live
        self._backlog = backlog
        self._pace = Pace()
        self.is_limited = False  # whether it may have left calls when it last looked
        self._is_overloaded = False

    async def take(self) -> tuple[list[ClaimedCall], bool]:
        """The calls that are ours from now on, and whether to look again at once."""
        room = self._room()
        self.is_limited = room < AT_ONCE
        claimed: list[ClaimedCall] = []
        if self.is_limited:
            # Those that have waited too long ring nobody, and so they count for nothing.
            claimed += await self._claim(AT_ONCE, overdue=True)
        if room > 0:
            taken = await self._claim(room, overdue=False)
            self._pace.take(sum(each.refused is None for each in taken))
            claimed += taken
        return claimed, len(claimed) >= AT_ONCE

    async def _claim(self, limit: int, overdue: bool) -> list[ClaimedCall]:
        return await self._database.run(
            claims.claim, self._switch, limit, self._kinds, overdue=overdue
        )

    def _room(self) -> int:
        room = AT_ONCE
        if settings.switch_calls is not None:
            room = min(room, settings.switch_calls - self._live())
        if settings.switch_calls_per_second is not None:
            room = min(room, self._pace.room(settings.switch_calls_per_second, time.monotonic()))
        return max(0, room) if self._keeps_up() else 0

    def _keeps_up(self) -> bool:
        overloaded = self._backlog() > OVERLOADED
        if overloaded and not self._is_overloaded:
            logger.warning("Its writes take too long: the switch takes no new calls meanwhile.")
        self._is_overloaded = overloaded
        return not overloaded
