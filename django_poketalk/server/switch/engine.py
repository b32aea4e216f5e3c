"""The switch itself: takes calls from the database, keeps them alive, and lets go of them cleanly.

asyncio owns the calls, their timers and the HTTP; the database is written from threads. As many
switches as are wanted may run, on as many hosts as are wanted: a call has one owner, by a lease
and a fence in its row. Leases are measured by the database's clock, and kept by the monotonic one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from ..conf import settings
from ..database.clock import database_now
from ..database.notify import Notification
from .calls.runner import CallContext, CallRunner
from .calls.write_queue import WriteQueue
from .clock import Clock, DatabaseTime
from .database_threads import DatabaseThreads, batch_pause
from .delivery.sender import EventSender
from .gateways import KINDS
from .gateways.base import BaseGateway, CallKey
from .listener import Listener
from .machine.facts_and_commands import Cause, Fact, HangUpRequested, LegFact, Route
from .monitoring import heartbeat
from .monitoring.stats import Stats
from .monitoring.watchdog import State, Watchdog
from .ownership import claims, plan
from .ownership.intake import Intake
from .ownership.lease import Lease
from .probe_calls import ProbeCalls
from .recovery.orphans import Orphans

logger = logging.getLogger(__name__)

POLL = 0.25  # seconds between looks for queued calls and for hang-ups asked
GATHER = 0.02  # seconds between two looks at least, so that a crowd of calls is taken together
POLL_WOKEN = 1.0  # the same, where the database wakes it
RECOVER = 2.0  # seconds between looks for abandoned calls
WATCH = 5.0  # seconds between looks at which gateways there are
TRY = 1.0  # seconds between looks for test calls
BEAT = 5.0  # seconds between two signs of life
RENEWALS = 5  # in the time of one lease
THREADS = 3  # that write money and what is rare
SIGN_OFF_WITHIN = 2.0  # seconds
STOP_WITHIN = 15.0  # seconds for the last events and writes of a switch that stops


class Engine:
    """One switch. `await run()`; `stop()` from within the loop makes it return.

    `name` is for people; the rows carry it with a suffix of this run's own, so that a switch never
    takes the calls of its predecessor for its own. `drain`: see `stop()`; the setting, if left out.
    """

    def __init__(
        self,
        name: str,
        speed: float = 1.0,
        kinds: Mapping[str, type[BaseGateway]] = MappingProxyType(KINDS),
        drain: float | None = None,
    ) -> None:
        self.identity = f"{name[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.clock = Clock(speed)
        self.stats = Stats()
        self.watchdog = Watchdog()
        self.lease = Lease(self._lapsed)
        self._time = DatabaseTime()
        self._gateways: dict[str, BaseGateway] = {
            kind: gateway(self.clock, self._heard)
            for kind, gateway in kinds.items()
            if speed == 1 or gateway.simulated
        }
        self._calls: dict[CallKey, CallRunner] = {}
        self._orphans = Orphans(self.identity, self._gateways, self.stats)
        self._drain = drain
        self._take_at = 0.0
        self._without_password: set[int] = set()  # gateways that the log has told of
        self._closed = asyncio.Event()  # no new calls
        self._ending = asyncio.Event()  # those that are left are ended
        self._queued = asyncio.Event()
        self._hang_up = asyncio.Event()
        self.listener = Listener(self._woken)

    @property
    def calls(self) -> int:
        """How many calls it has in hand."""
        return len(self._calls) + len(self._orphans)

    def stop(self) -> None:
        """Take no new calls and return from `run()`: once the calls in hand are over, or `drain`
        seconds have passed. The rest is ended, with final events. Asked again, all are ended now.
        """
        if self._closed.is_set():
            self._ending.set()
        self._closed.set()

    async def run(self) -> None:
        """Serve until `stop()`."""
        # Leases are not to wait behind a crowd of writes, nor news of calls for locked accounts.
        self._lifeline = DatabaseThreads(1, patience=settings.lease)
        self._plain = DatabaseThreads(1, patience=settings.lease)
        # SQLite lets one write at a time; more threads would only jostle each other.
        one = connection.vendor == "sqlite"
        self._database = self._plain if one else DatabaseThreads(THREADS, patience=settings.lease)
        self.lease.keep_until(time.monotonic() + settings.lease)
        try:
            async with EventSender(self._time.now) as sender, self._open_gateways():
                self.write_queue = WriteQueue(self._plain, self._database, self.stats.write.add)
                self._equip(sender)
                try:
                    await self._measure_time()
                except DatabaseError as error:
                    logger.warning("The database does not say what time it is: %s", error)
                logger.info("Switch %s takes calls.", self.identity)
                await self._serve()
        finally:
            self.lease.let_go()
            for database in {self._database, self._plain, self._lifeline}:
                await asyncio.to_thread(database.close)
            logger.info("Switch %s has stopped.", self.identity)

    def _equip(self, sender: EventSender) -> None:
        kinds = tuple(self._gateways)
        self._probe_calls = ProbeCalls(self.identity, self.clock, self._database, self._gateways)
        self._intake = Intake(
            self.identity,
            self._lifeline,
            kinds,
            lambda: self.calls,
            lambda: self.write_queue.backlog,
        )
        self._orphans.open(self._database, sender)
        self._means = CallContext(
            self.clock,
            self._time,
            self.write_queue,
            self.stats,
            sender,
            self._gateways,
            self.lease.holds,
            self._gone,
            self._orphans.leave,
        )

    async def _serve(self) -> None:
        never = asyncio.Event()
        apart = [
            asyncio.create_task(self._every(settings.lease / RENEWALS, self._renew, until=never)),
            asyncio.create_task(self.listener.run()),
        ]
        try:
            await asyncio.gather(
                self._every(self._pause, self._take, self._queued, until=self._closed),
                self._every(self._pause, self._end_asked, self._hang_up, until=self._ending),
                self._every(RECOVER, self._orphans.recover, self._orphans.left, until=self._closed),
                self._every(WATCH, self._watch, until=self._closed),
                self._every(BEAT, self._beat, until=self._ending),
                self._every(TRY, self._probe_calls.poll, until=self._closed),
                self._drained(),
            )
            await self._probe_calls.close()
            await self._end_all()
            await self._sign_off()
        finally:
            for task in apart:
                task.cancel()
            await asyncio.gather(*apart, return_exceptions=True)
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
        pause: float | Callable[[], float],
        work: Callable[[], Awaitable[None]],
        wake: asyncio.Event | None = None,
        *,
        until: asyncio.Event,
    ) -> None:
        """Do the work again and again; what goes wrong is logged, and tried again."""
        self.watchdog.turned(work.__name__)  # also a first round that never ends is to be seen
        while not until.is_set():
            seconds = pause if isinstance(pause, float | int) else pause()
            try:
                await work()
                self.watchdog.turned(work.__name__, seconds)
            except (OperationalError, InterfaceError) as error:  # their tracebacks say nothing
                logger.error("The database did not do %s: %s", work.__name__, error)
            except Exception:
                logger.exception("The switch goes on after an error.")
            waiting = [asyncio.ensure_future(event.wait()) for event in (until, wake) if event]
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for wait in waiting:
                wait.cancel()
        self.watchdog.ended(work.__name__)

    # Taking calls

    def _pause(self) -> float:
        """While calls are left for a limit's sake, nobody says when there is room again."""
        woken = self.listener.is_listening and not self._intake.is_limited
        return POLL_WOKEN if woken else POLL

    def _woken(self, news: Notification) -> None:
        match news:
            case Notification.QUEUED:
                self._queued.set()
            case Notification.HANG_UP:
                self._hang_up.set()

    async def _take(self) -> None:
        self._queued.clear()
        more = True
        await asyncio.sleep(max(0.0, self._take_at - time.monotonic()))
        begun = time.monotonic()
        while more and not self._closed.is_set() and self.lease.holds():
            asked = time.monotonic()
            claimed, more = await self._intake.take()
            if claimed and time.monotonic() >= asked + settings.lease:
                logger.error("%d calls were claimed too slowly: nobody is rung.", len(claimed))
                for each in claimed:
                    self._orphans.leave(each.key)
                continue
            for each in claimed:
                call = self._calls[each.key] = CallRunner(each, self._means)
                call.start()
        self._take_at = time.monotonic() + batch_pause(time.monotonic() - begun, GATHER)

    async def _end_asked(self) -> None:
        self._hang_up.clear()
        if self._calls:
            for key in await self._lifeline.run(claims.requested_hang_ups, self.identity):
                self._handle(key, HangUpRequested(Cause.HANG_UP_REQUESTED))

    def _handle(self, key: CallKey, fact: Fact) -> None:
        if call := self._calls.get(key):
            call.handle(fact)

    def _heard(self, key: CallKey, fact: LegFact) -> None:
        if not self._probe_calls.handle(key, fact):
            self._handle(key, fact)

    def _gone(self, key: CallKey) -> None:
        self._calls.pop(key, None)

    # Keeping them

    async def _renew(self) -> None:
        began = time.monotonic()
        keys = self._keys()
        for key in await self._lifeline.run(claims.renew, self.identity, keys) if keys else ():
            logger.warning("Call %s is lost: its lease was not renewed.", key.pk)
            self._drop(key)
        self.lease.keep_until(began + settings.lease)

    def _lapsed(self) -> None:
        if self.calls:
            logger.error("Switch %s could not renew its leases; drops its calls.", self.identity)
            self._drop_all()

    def _keys(self) -> list[CallKey]:
        return [*self._calls, *self._orphans.keys()]

    def _drop(self, key: CallKey) -> None:
        if call := self._calls.get(key):
            call.drop()
        self._orphans.drop(key)

    def _drop_all(self) -> None:
        for key in self._keys():
            self._drop(key)

    async def _beat(self) -> None:
        await self._lifeline.run(heartbeat.beat, self.identity, self.calls)
        await self._measure_time()

    async def _measure_time(self) -> None:
        self._time.measured(*await self._lifeline.run(_measured))

    async def _watch(self) -> None:
        routes = await self._database.run(plan.routes, tuple(self._gateways))
        self._tell_of_missing_passwords(routes)
        for kind, gateway in self._gateways.items():
            gateway.watch([route for route in routes if route.kind == kind])

    def _tell_of_missing_passwords(self, routes: list[Route]) -> None:
        missing = {
            route.gateway: route.trunk.username
            for route in routes
            if route.trunk and route.trunk.username and not route.trunk.password
        }
        for gateway in missing.keys() - self._without_password:
            logger.warning(
                "Gateway %d has the user name %r and no password: the variable that it names is not"
                " set where this switch runs. Whoever asks for a password will refuse its calls.",
                gateway,
                missing[gateway],
            )
        self._without_password = set(missing)

    # Letting go

    @property
    def state(self) -> State:
        """What it does."""
        if self._ending.is_set():
            return State.ENDING
        return State.DRAINING if self._closed.is_set() else State.SERVING

    async def _drained(self) -> None:
        """Return when the calls are to be ended that are still there."""
        await self._closed.wait()
        drain = settings.drain if self._drain is None else self._drain
        give_up = time.monotonic() + drain
        if drain and self.calls:
            logger.info("Switch %s lets %d calls end by themselves.", self.identity, self.calls)
        while self.calls and time.monotonic() < give_up and not self._ending.is_set():
            await asyncio.sleep(0.05)
        self._ending.set()

    async def _end_all(self) -> None:
        if self.calls:
            logger.info("Switch %s ends %d calls.", self.identity, self.calls)
        for call in list(self._calls.values()):
            call.handle(HangUpRequested(Cause.SWITCH_STOPPED))
        give_up = time.monotonic() + STOP_WITHIN
        while self.calls and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        if self.calls:
            logger.error("%d calls are left to be recovered by a switch.", self.calls)

    async def _sign_off(self) -> None:
        """Nothing depends on it: a database that is away is not waited for."""
        try:
            async with asyncio.timeout(SIGN_OFF_WITHIN):
                await self._database.run(heartbeat.sign_off, self.identity)
        except (DatabaseError, TimeoutError) as error:
            why = str(error) or "the database is away"
            logger.warning("Switch %s could not sign off: %s", self.identity, why)


def _measured() -> tuple[datetime, float, float]:
    asked = time.monotonic()
    moment = database_now()
    return moment, asked, time.monotonic()
