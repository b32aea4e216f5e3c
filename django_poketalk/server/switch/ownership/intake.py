"""How many calls a switch claims: within its limits, and only while it keeps up. Other calls are
left to other switches, or fail when they have been queued too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django_poketalk.server.conf import settings
from django_poketalk.shared.logs import get_logger

from ..database_threads import DatabaseThreads
from ..monitoring.gateway_states import GatewayAvailability
from . import claims
from .catalog import Catalog
from .claims import Claims, Place
from .plan import ClaimedCall

logger = get_logger(__name__)

BATCH = 50  # calls claimed at once
LOOK = 200  # calls looked at while some wait for a gateway or a channel, which others may not need
# Seconds that writes, and messages or timers, may wait while new calls are claimed
MAX_BACKLOG = 2.0
MAX_DELAY = 0.5


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
    """Claims calls for one switch. `availability` returns which gateways it can use, `live` how
    many calls it has, `backlog` the seconds that its oldest write has waited, and `delay` those
    that messages and timers wait.
    """

    def __init__(
        self,
        switch: str,
        threads: DatabaseThreads,
        availability: Callable[[], GatewayAvailability],
        live: Callable[[], int],
        backlog: Callable[[], float],
        delay: Callable[[], float],
    ) -> None:
        self._switch = switch
        self._threads = threads
        self._availability = availability
        self._live = live
        self._backlog = backlog
        self._delay = delay
        self._rate_limit = RateLimit()
        self._catalog = Catalog()
        self._some_wait = False  # for a gateway or a channel
        self._looked_at: Place | None = None  # the last call, behind the head of the queue
        self.is_limited = False  # whether the last round may have left calls in the queue
        self._is_overloaded = False

    async def claim(self) -> tuple[list[ClaimedCall], bool]:
        """Claim calls. Return them, and whether to try again at once."""
        room = self._room()
        claimed: list[ClaimedCall] = []
        more = False
        if self.is_limited or not room:
            # Overdue calls fail without ringing anyone, so no limit applies to them.
            overdue = await self._claim(BATCH, overdue=True)
            claimed, more = overdue.calls, overdue.more
        filled = True
        if room > 0:
            taken, filled = await self._take(room)
            self._rate_limit.use(sum(each.refused is None for each in taken))
            claimed, more = claimed + taken, more or (filled and room == BATCH)
        self.is_limited = self._some_wait or (filled and room < BATCH)
        return claimed, more

    async def _take(self, room: int) -> tuple[list[ClaimedCall], bool]:
        """Claim calls from the head of the queue. While calls there wait, also look at those behind
        them, which may need other gateways: at some in each round, until the end of the queue.
        """
        head = await self._claim(room, look=LOOK if self._some_wait else room)
        self._some_wait = head.some_wait
        left = room - len(head.calls)
        if not (head.some_wait and head.last and left):
            return head.calls, head.more
        after = max(head.last, self._looked_at or head.last)
        behind = await self._claim(left, look=LOOK, after=after)
        self._looked_at = behind.last
        return head.calls + behind.calls, head.more or behind.more

    async def _claim(self, limit: int, **options: Any) -> Claims:
        return await self._threads.run(
            claims.claim,
            self._switch,
            limit,
            self._availability(),
            catalog=self._catalog,
            **options,
        )

    def _room(self) -> int:
        room = BATCH
        if settings.switch_calls is not None:
            room = min(room, settings.switch_calls - self._live())
        if settings.switch_calls_per_second is not None:
            room = min(
                room, self._rate_limit.room(settings.switch_calls_per_second, time.monotonic())
            )
        room = min(room, int(BATCH * (1 - self._delay() / MAX_DELAY)))  # the later, the fewer
        return max(0, room) if self._keeps_up() else 0

    def _keeps_up(self) -> bool:
        late = [
            name
            for name, seconds, limit in (
                ("Writes", self._backlog(), MAX_BACKLOG),
                ("Messages and timers", self._delay(), MAX_DELAY),
            )
            if seconds > limit
        ]
        if late and not self._is_overloaded:
            logger.warning(
                "%s wait too long. Claiming no new calls until they catch up.", " and ".join(late)
            )
        self._is_overloaded = bool(late)
        return not late
