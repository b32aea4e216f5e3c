"""Writing what becomes of calls: changes that come within a moment share a transaction."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from decimal import Decimal

from django.db import InterfaceError, OperationalError

from ..database_threads import DatabaseThreads, batch_pause
from . import store
from .changes import Change

logger = logging.getLogger(__name__)

GATHER = 0.015  # seconds that a change waits at least for others to share its transaction
MOST = 100  # changes in one transaction
PLAIN = 0  # the lane of changes that move no money: no account has this key

Waiting = list[tuple[Change, "asyncio.Future[Decimal | None]", float]]


class WriteQueue:
    """Gathers changes in lanes: one for all that move no money, and one for each account, so that a
    transaction locks one account at most. In each lane, one transaction follows the other.

    `plain` and `money` are databases of their own: however many accounts are locked by others,
    changes without money go on. `took` is told the seconds of each change, from its coming to its
    commit.
    """

    def __init__(
        self, plain: DatabaseThreads, money: DatabaseThreads, took: Callable[[float], None]
    ) -> None:
        self._plain = plain
        self._money = money
        self._took = took
        self._lanes: dict[int, Waiting] = {}
        self._writing: dict[int, asyncio.Task[None]] = {}
        self._oldest: dict[int, float] = {}  # what is being written now has waited since
        self._wrote_for = 0.0  # seconds that the last transaction took, of any lane

    @property
    def backlog(self) -> float:
        """Seconds that the oldest change has been waiting for, written or not."""
        since = [lane[0][2] for lane in self._lanes.values() if lane] + [*self._oldest.values()]
        return time.monotonic() - min(since) if since else 0.0

    @property
    def waiting(self) -> int:
        """Changes whose transaction has not begun."""
        return sum(map(len, self._lanes.values()))

    async def save(self, change: Change) -> Decimal | None:
        """Write the change; the hold in force when more was wanted. Raises as `store.save`, and
        the database's own errors when it did not recover in time.
        """
        lane = change.account if change.moves_money else PLAIN
        result: asyncio.Future[Decimal | None] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, []).append((change, result, time.monotonic()))
        if lane not in self._writing:
            self._writing[lane] = asyncio.create_task(self._write(lane))
        return await result

    async def _write(self, lane: int) -> None:
        try:
            while self._lanes.get(lane):
                await asyncio.sleep(batch_pause(self._wrote_for, GATHER))
                waiting = self._lanes[lane]
                together, self._lanes[lane] = waiting[:MOST], waiting[MOST:]
                self._oldest[lane] = together[0][2]
                begun = time.monotonic()
                await self._save(self._plain if lane == PLAIN else self._money, together)
                self._wrote_for = time.monotonic() - begun
                del self._oldest[lane]
        finally:
            self._oldest.pop(lane, None)
            del self._writing[lane], self._lanes[lane]

    async def _save(self, database: DatabaseThreads, together: Waiting) -> None:
        try:
            granted = await database.run(
                store.save, [change for change, _result, _since in together]
            )
        except Exception as error:
            if len(together) == 1 or isinstance(error, OperationalError | InterfaceError):
                for _change, result, _since in together:
                    _fail(result, error)
                return
            if not isinstance(error, store.LostCall):
                logger.exception("%d changes could not be written together.", len(together))
            for one in together:
                await self._save(database, [one])
        else:
            for (_change, result, since), amount in zip(together, granted, strict=True):
                self._succeed(result, since, amount)

    def _succeed(
        self, result: asyncio.Future[Decimal | None], since: float, amount: Decimal | None
    ) -> None:
        self._took(time.monotonic() - since)
        if not result.done():
            result.set_result(amount)


def _fail(result: asyncio.Future[Decimal | None], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)
