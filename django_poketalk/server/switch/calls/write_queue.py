"""Batches the changes of calls: those that arrive within a moment share a transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django_poketalk.shared.logs import get_logger

from ..database_threads import TEMPORARY, DatabaseThreads, batch_pause
from . import store
from .changes import Change

logger = get_logger(__name__)

GATHER = 0.015  # minimum seconds that a change waits for others to share its transaction
MAX_BATCH = 100  # changes in one transaction
NO_ACCOUNT = 0  # the lane of changes that move no money; no account has this key


@dataclass(frozen=True, slots=True)
class _Waiting:
    change: Change
    result: asyncio.Future[Decimal | None]
    since: float


class WriteQueue:
    """Queues changes in lanes: one for all changes that move no money, and one per account, so that
    a transaction locks at most one account. Each lane runs one transaction at a time.

    `plain` and `money` have separate threads: changes without money proceed even while others lock
    many accounts. `written` is called with the seconds from each change's arrival to its
    commit.
    """

    def __init__(
        self, plain: DatabaseThreads, money: DatabaseThreads, written: Callable[[float], None]
    ) -> None:
        self._plain = plain
        self._money = money
        self._written = written
        self._lanes: dict[int, list[_Waiting]] = {}
        self._writing: dict[int, asyncio.Task[None]] = {}
        self._oldest: dict[int, float] = {}  # arrival of the oldest change being written, by lane
        self._last_took = 0.0  # seconds of the last transaction, in any lane

    @property
    def backlog(self) -> float:
        """Seconds since the oldest unwritten change arrived."""
        since = [lane[0].since for lane in self._lanes.values() if lane] + [*self._oldest.values()]
        return time.monotonic() - min(since) if since else 0.0

    @property
    def waiting(self) -> int:
        """The number of changes whose transaction has not begun."""
        return sum(map(len, self._lanes.values()))

    async def save(self, change: Change) -> Decimal | None:
        """Write the change; return the hold in force if one was requested. Raises what `store.save`
        raises, and database errors that outlast the retries.
        """
        lane = change.account if change.moves_money else NO_ACCOUNT
        result: asyncio.Future[Decimal | None] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, []).append(_Waiting(change, result, time.monotonic()))
        if lane not in self._writing:
            self._writing[lane] = asyncio.create_task(self._write_lane(lane))
        return await result

    async def _write_lane(self, lane: int) -> None:
        threads = self._plain if lane == NO_ACCOUNT else self._money
        try:
            while self._lanes.get(lane):
                await asyncio.sleep(batch_pause(self._last_took, GATHER))
                waiting = self._lanes[lane]
                batch, self._lanes[lane] = waiting[:MAX_BATCH], waiting[MAX_BATCH:]
                self._oldest[lane] = batch[0].since
                began = time.monotonic()
                await self._write(threads, batch)
                self._last_took = time.monotonic() - began
                del self._oldest[lane]
        finally:
            self._oldest.pop(lane, None)
            del self._writing[lane], self._lanes[lane]

    async def _write(self, threads: DatabaseThreads, batch: list[_Waiting]) -> None:
        try:
            granted = await threads.run(store.save, [each.change for each in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, TEMPORARY):
                if not isinstance(error, store.LostCall):
                    logger.exception("%d changes could not be written together.", len(batch))
                for each in batch:
                    await self._write(threads, [each])
                return
            for each in batch:
                if not each.result.done():
                    each.result.set_exception(error)
        else:
            for each, amount in zip(batch, granted, strict=True):
                self._written(time.monotonic() - each.since)
                if not each.result.done():
                    each.result.set_result(amount)
