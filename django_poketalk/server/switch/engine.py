"""The switch itself: takes calls from the database, keeps them alive, and lets go of them cleanly.

asyncio owns the calls, their timers and the HTTP; the database is written from threads. As many
switches as are wanted may run, on as many hosts as are wanted: a call has one owner, by a lease
and a fence in its row. The hosts' clocks have to agree to within a few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType

from django.db import connection

from ..conf import settings
from . import recovery, store
from .clock import Clock
from .database import Database
from .events import EventSender
from .gateways import KINDS
from .gateways.base import BaseGateway, CallKey
from .live import LiveCall, Means
from .messages import Cause, EndAsked, Fact
from .recovery import Orphan
from .store import Change

logger = logging.getLogger(__name__)

POLL = 0.25  # seconds between looks for queued calls and for hang-ups asked
RECOVER = 2.0  # seconds between looks for abandoned calls
RENEWALS = 5  # in the time of one lease
AT_ONCE = 50  # calls taken at one look
THREADS = 4  # that write
STOP_WITHIN = 15.0  # seconds for the last events and writes of a switch that stops


class Engine:
    """One switch. `await run()`; `stop()` from within the loop makes it return.

    `name` is for people; the rows carry it with a suffix of this run's own, so that a switch never
    takes the calls of its predecessor for its own.
    """

    def __init__(
        self,
        name: str,
        speed: float = 1.0,
        kinds: Mapping[str, type[BaseGateway]] = MappingProxyType(KINDS),
    ) -> None:
        self.identity = f"{name[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.clock = Clock(speed)
        self._gateways: dict[str, BaseGateway] = {
            kind: gateway(self.clock, self._handle)
            for kind, gateway in kinds.items()
            if speed == 1 or gateway.simulated
        }
        self._calls: dict[CallKey, LiveCall] = {}
        self._orphans: dict[CallKey, asyncio.Task[None]] = {}
        self._owned_until = 0.0
        self._lapse: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._abandoned = asyncio.Event()
        self._lapsing: set[asyncio.Task[None]] = set()

    @property
    def calls(self) -> int:
        """How many calls it has in hand."""
        return len(self._calls) + len(self._orphans)

    def stop(self) -> None:
        """End all calls, with their final events, and return from `run()`."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop()`."""
        # SQLite lets one write at a time; more threads would only jostle each other.
        threads = 1 if connection.vendor == "sqlite" else THREADS
        self._database = Database(threads, patience=settings.lease)
        # Leases are not to wait behind a crowd of writes.
        self._lifeline = Database(1, patience=settings.lease)
        self._keep_until(time.monotonic() + settings.lease)
        try:
            async with EventSender() as self._sender, self._open_gateways():
                self._means = Means(
                    self.clock,
                    self._database,
                    self._sender,
                    self._gateways,
                    self._owned,
                    self._gone,
                    self._abandon,
                )
                logger.info("Switch %s takes calls.", self.identity)
                await self._serve()
        finally:
            if self._lapse is not None:
                self._lapse.cancel()
            for database in (self._database, self._lifeline):
                await asyncio.to_thread(database.close)
            logger.info("Switch %s has stopped.", self.identity)

    async def _serve(self) -> None:
        renewing = asyncio.create_task(
            self._every(settings.lease / RENEWALS, self._renew, until=asyncio.Event())
        )
        try:
            await asyncio.gather(
                self._every(POLL, self._poll, until=self._stopping),
                self._every(RECOVER, self._recover, self._abandoned, until=self._stopping),
            )
            await self._end_all()
        finally:
            renewing.cancel()
            self._drop_all()

    @contextlib.asynccontextmanager
    async def _open_gateways(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for gateway in self._gateways.values():
                await gateway.open()
                stack.push_async_callback(gateway.close)
            yield

    async def _every(
        self,
        pause: float,
        work: Callable[[], Awaitable[None]],
        wake: asyncio.Event | None = None,
        *,
        until: asyncio.Event,
    ) -> None:
        """Do the work again and again; what goes wrong is logged, and tried again."""
        while not until.is_set():
            try:
                await work()
            except Exception:
                logger.exception("The switch goes on after an error.")
            waiting = [asyncio.ensure_future(event.wait()) for event in (until, wake) if event]
            await asyncio.wait(waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for wait in waiting:
                wait.cancel()

    # Taking calls

    async def _poll(self) -> None:
        taken = AT_ONCE
        while taken == AT_ONCE and not self._stopping.is_set():
            claimed = await self._database.run(
                store.claim, self.identity, AT_ONCE, tuple(self._gateways)
            )
            taken = len(claimed)
            for each in claimed:
                call = self._calls[each.key] = LiveCall(each, self._means)
                call.start()
        if self._calls:
            for key in await self._lifeline.run(store.hang_ups_asked, self.identity):
                self._handle(key, EndAsked(Cause.HANG_UP_REQUESTED))

    def _handle(self, key: CallKey, fact: Fact) -> None:
        if call := self._calls.get(key):
            call.handle(fact)

    def _gone(self, key: CallKey) -> None:
        self._calls.pop(key, None)

    # Keeping them

    async def _renew(self) -> None:
        began = time.monotonic()
        keys = [*self._calls, *self._orphans]
        for key in await self._lifeline.run(store.renew, self.identity, keys) if keys else ():
            logger.warning("Call %s is another switch's now.", key.pk)
            self._drop(key)
        self._keep_until(began + settings.lease)

    def _keep_until(self, until: float) -> None:
        self._owned_until = until
        if self._lapse is not None:
            self._lapse.cancel()
        loop = asyncio.get_running_loop()
        self._lapse = loop.call_later(until - time.monotonic(), self._owned)

    def _owned(self) -> bool:
        """Whether the leases still hold. When they do not, other switches may have the calls by
        now, and all of them are dropped.
        """
        if time.monotonic() < self._owned_until:
            return True
        if self._calls or self._orphans:
            logger.error("Switch %s could not renew its leases; drops its calls.", self.identity)
            self._drop_all()
        return False

    def _drop(self, key: CallKey) -> None:
        if call := self._calls.get(key):
            call.drop()
        if orphan := self._orphans.get(key):
            orphan.cancel()

    def _drop_all(self) -> None:
        for key in [*self._calls, *self._orphans]:
            self._drop(key)

    # Calls that were left behind

    def _abandon(self, key: CallKey) -> None:
        """Leave a call of ours to be recovered like that of a dead switch."""
        task = asyncio.create_task(self._let_lapse(key))
        self._lapsing.add(task)
        task.add_done_callback(self._lapsing.discard)

    async def _let_lapse(self, key: CallKey) -> None:
        try:
            await self._database.run(store.let_lapse, key)
        except Exception:
            logger.exception("Call %s is left to lapse by itself.", key.pk)
        self._abandoned.set()

    async def _recover(self) -> None:
        self._abandoned.clear()
        orphans = await self._database.run(recovery.recover, self.identity, AT_ONCE)
        for orphan in orphans:
            self._orphans[orphan.key] = asyncio.create_task(self._send_last_events(orphan))

    async def _send_last_events(self, orphan: Orphan) -> None:
        try:
            deliveries = tuple(
                [
                    await self._sender.send(orphan.eventurl, sequence, event)
                    for sequence, event in enumerate(orphan.events, orphan.sequence)
                ]
            )
            change = Change(orphan.key, deliveries=deliveries, done=True)
            await self._database.run(store.save, change)
        except store.LostCall:
            logger.warning("Call %s is another switch's now.", orphan.key.pk)
        except Exception:
            logger.exception("The last event of call %s could not be stored.", orphan.key.pk)
        finally:
            self._orphans.pop(orphan.key, None)

    # Letting go

    async def _end_all(self) -> None:
        if self.calls:
            logger.info("Switch %s ends %d calls.", self.identity, self.calls)
        for call in list(self._calls.values()):
            call.handle(EndAsked(Cause.SWITCH_STOPPED))
        give_up = time.monotonic() + STOP_WITHIN
        while self.calls and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        if self.calls:
            logger.error("%d calls are left to be recovered by a switch.", self.calls)
