"""The switch: claims calls from the database, runs them, and stops cleanly.

asyncio runs calls, timers and HTTP; the database is written from threads. Any number of switches
can run, on any number of hosts: each call has one owner, by a lease and a fence in its row. Leases
are measured by the database's clock, and kept by the monotonic clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType

from django.db import DatabaseError, connection

from django_poketalk.shared.logs import about_call, get_logger

from ..conf import settings
from ..database.clock import database_now
from ..database.notify import Notification
from .balance_watch import watching_balances
from .calls.runner import CallContext, CallRunner
from .calls.write_queue import WriteQueue
from .clock import Clock, DatabaseTime
from .database_threads import DatabaseThreads, batch_pause
from .delivery.repeats import Repeats
from .delivery.sender import EventSender
from .forgetting import FORGET, forget_old_numbers
from .gateway_watch import GatewayWatch
from .gateways import KINDS
from .gateways.base import BaseGateway, CallKey
from .listener import Listener
from .machine.facts_and_commands import Cause, HangUpRequested, LegFact
from .monitoring import heartbeat
from .monitoring.gateway_states import GatewayStates, GatewayView
from .monitoring.loop_delay import LoopDelay
from .monitoring.snapshot import Snapshot, State
from .monitoring.stats import Stats
from .monitoring.watchdog import Watchdog
from .ownership import channels, claims
from .ownership.intake import Intake
from .ownership.lease import Lease
from .probe_calls import ProbeCalls
from .recovery.orphans import Orphans

logger = get_logger(__name__)

# Seconds between two rounds of the switch's loops
POLL = 0.25  # queued calls and requested hang-ups
POLL_LISTENING = 1.0  # the same, while the database notifies the switch
GATHER = 0.02  # at least, between two claims, so that calls are claimed in batches
RECOVER = 2.0  # abandoned calls
WATCH = 1.0  # gateways
PROBE = 1.0  # test calls
REPEAT = 2.0  # final events that were not answered
BEAT = 5.0  # heartbeats
DRAIN = 0.05  # whether the calls have ended, while the switch stops

RENEWALS = 5  # per lease
THREADS = 3  # for writes with money, and for rare work
SIGN_OFF_TIMEOUT = 2.0  # seconds
STOP_TIMEOUT = 15.0  # seconds for the last events and writes


class Engine:
    """One switch. Await `run()`; call `stop()` in its event loop to make it return.

    `name` is for people; rows contain it with a suffix that is unique to this run, so that a switch
    never mistakes its predecessor's calls for its own. `drain`: see `stop()`; default: the setting.
    """

    def __init__(
        self,
        name: str,
        speed: float = 1.0,
        kinds: Mapping[str, type[BaseGateway]] = MappingProxyType(KINDS),
        drain: float | None = None,
    ) -> None:
        self.identity = f"{name[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.stats = Stats()
        self.lease = Lease(self._drop_lapsed)
        self._watchdog = Watchdog()
        self._loop_delay = LoopDelay()
        self._drain = drain
        self._draining = asyncio.Event()  # claims no more calls
        self._ending = asyncio.Event()  # ends the remaining calls
        self._wake = {notification: asyncio.Event() for notification in Notification}
        self.listener = Listener(self._wake)

        # Lease renewals must not wait for other writes, nor writes without money for locked
        # accounts. SQLite has a single writer, so more threads would only compete for it.
        self._lease_threads = DatabaseThreads(1, retry_for=settings.lease)
        self._plain_threads = DatabaseThreads(1, retry_for=settings.lease)
        self._threads = (
            self._plain_threads
            if connection.vendor == "sqlite"
            else DatabaseThreads(THREADS, retry_for=settings.lease)
        )
        self._write_queue = WriteQueue(self._plain_threads, self._threads, self.stats.write.add)

        clock = Clock(speed)
        self._time = DatabaseTime()
        self._sender = EventSender(self._time.now)
        self._gateways: dict[str, BaseGateway] = {
            kind: gateway(clock, self._handle)
            for kind, gateway in kinds.items()
            if speed == 1 or gateway.simulated
        }
        self._gateway_states = GatewayStates(self._gateways)
        self._gateway_watch = GatewayWatch(
            self.identity, self._threads, self._gateways, self._gateway_states, self._time
        )
        self._probe_calls = ProbeCalls(self.identity, clock, self._threads, self._gateways)
        self._orphans = Orphans(
            self.identity, self._threads, self._sender, self._gateways, self.stats
        )
        self._repeats = Repeats(self._threads, self._sender, self.stats.count_delivery)
        self._intake = Intake(
            self.identity,
            self._lease_threads,
            availability=self._gateway_states.availability,
            live=lambda: self.calls,
            backlog=lambda: self._write_queue.backlog,
            delay=lambda: max(
                [self._loop_delay.seconds, *(each.delay for each in self._gateways.values())]
            ),
        )
        self._next_claim_at = 0.0
        self._calls: dict[CallKey, CallRunner] = {}
        self._context = CallContext(
            clock=clock,
            time=self._time,
            write_queue=self._write_queue,
            stats=self.stats,
            sender=self._sender,
            gateways=self._gateways,
            gateway_states=self._gateway_states,
            owned=self.lease.holds,
            reserve=lambda key, pairs: self._threads.run(channels.move, key, pairs),
            closed=lambda key: self._calls.pop(key, None),
            abandon=self._orphans.abandon,
        )

    @property
    def calls(self) -> int:
        """The number of calls that this switch is working on."""
        return len(self._calls) + len(self._orphans)

    @property
    def state(self) -> State:
        """The phase of the switch."""
        if self._ending.is_set():
            return State.ENDING
        return State.DRAINING if self._draining.is_set() else State.SERVING

    def snapshot(self) -> Snapshot:
        """The switch now, for monitors."""
        return Snapshot(
            state=self.state,
            calls=self.calls,
            lease_left=self.lease.left,
            listening=self.listener.is_listening,
            writes_waiting=self._write_queue.waiting,
            late_loops=self._watchdog.late,
            database_seen=time.monotonic() - self._lease_threads.responded_at,
            stats=self.stats,
            gateways=self._gateway_views(),
        )

    def _gateway_views(self) -> list[GatewayView]:
        channels = Counter(
            gateway for call in self._calls.values() for gateway in call.gateways_in_use
        )
        return self._gateway_states.views(channels, time.monotonic())

    def stop(self) -> None:
        """Claim no more calls, and return from `run()` when the current calls have ended, or after
        `drain` seconds. The remaining calls are ended with final events. A second call ends all
        calls now.
        """
        if self._draining.is_set():
            self._ending.set()
        self._draining.set()

    async def run(self) -> None:
        """Serve until `stop()`."""
        self.lease.keep_until(time.monotonic() + settings.lease)
        try:
            async with watching_balances(), self._sender, self._open_gateways():
                await self._serve()
        finally:
            self.lease.cancel()
            for threads in {self._threads, self._plain_threads, self._lease_threads}:
                await asyncio.to_thread(threads.close)
            logger.info("Switch %s has stopped.", self.identity)

    @contextlib.asynccontextmanager
    async def _open_gateways(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for gateway in self._gateways.values():
                await gateway.open()
                stack.push_async_callback(gateway.close)
            yield

    async def _serve(self) -> None:
        repeat, never = self._watchdog.repeat, asyncio.Event()
        queued, hang_up = self._wake[Notification.QUEUED], self._wake[Notification.HANG_UP]
        until_draining = partial(repeat, until=self._draining)
        until_ending = partial(repeat, until=self._ending)
        background = [
            asyncio.create_task(
                repeat("renew", settings.lease / RENEWALS, self._renew, until=never)
            ),
            asyncio.create_task(self.listener.run()),
            asyncio.create_task(self._loop_delay.measure()),
        ]
        try:
            await self._wait_for_database()
            await asyncio.gather(
                until_draining("claim", self._poll_pause, self._claim, queued),
                until_ending("hang_up", self._poll_pause, self._hang_up_requested, hang_up),
                until_draining("recover", RECOVER, self._orphans.recover, self._orphans.abandoned),
                until_draining("watch", WATCH, self._watch_gateways),
                until_ending("beat", BEAT, self._beat),
                until_draining("probe", PROBE, self._probe_calls.start_queued),
                until_draining("repeat", REPEAT, self._repeats.send_due),
                until_draining("forget", FORGET, partial(forget_old_numbers, self._threads)),
                self._wait_for_drain(),
            )
            await self._probe_calls.close()
            await self._repeats.close()
            await self._end_all()
            await self._sign_off()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self._drop_all()

    async def _wait_for_database(self) -> None:
        """Measure the database's time, which dates everything. No call is claimed before."""
        while not self._draining.is_set():
            try:
                await self._measure_time()
            except DatabaseError as error:
                logger.error("Switch %s waits for the database: %s", self.identity, error)
                await asyncio.sleep(POLL_LISTENING)
            else:
                logger.info("Switch %s takes calls.", self.identity)
                return

    # Calls

    def _poll_pause(self) -> float:
        """Seconds between polls. While a limit leaves calls in the queue, poll quickly: no
        notification says when there is room for them.
        """
        is_woken = self.listener.is_listening and not self._intake.is_limited
        return POLL_LISTENING if is_woken else POLL

    async def _claim(self) -> None:
        self._wake[Notification.QUEUED].clear()
        more = True
        await asyncio.sleep(max(0.0, self._next_claim_at - time.monotonic()))
        began = time.monotonic()
        while more and not self._draining.is_set() and self.lease.holds():
            claim_began = time.monotonic()
            claimed, more = await self._intake.claim()
            if claimed and time.monotonic() >= claim_began + settings.lease:
                logger.error("Abandoning %d calls: claiming them took too long.", len(claimed))
                for each in claimed:
                    self._orphans.abandon(each.key)
                continue
            for each in claimed:
                call = self._calls[each.key] = CallRunner(each, self._context)
                call.start()
        self._next_claim_at = time.monotonic() + batch_pause(time.monotonic() - began, GATHER)

    async def _hang_up_requested(self) -> None:
        self._wake[Notification.HANG_UP].clear()
        if self._calls:
            for key in await self._lease_threads.run(claims.requested_hang_ups, self.identity):
                if call := self._calls.get(key):
                    call.handle(HangUpRequested(Cause.HANG_UP_REQUESTED))

    def _handle(self, key: CallKey, fact: LegFact) -> None:
        if call := self._calls.get(key):
            call.handle(fact)
        else:
            self._probe_calls.handle(key, fact)

    # Leases

    async def _renew(self) -> None:
        began = time.monotonic()
        if keys := self._keys():
            for key in await self._lease_threads.run(claims.renew, self.identity, keys):
                with about_call(key.pk, "serve"):
                    logger.warning("Call %s is lost: its lease was not renewed.", key.pk)
                self._drop(key)
        self.lease.keep_until(began + settings.lease)

    def _drop_lapsed(self) -> None:
        if self.calls:
            logger.error("Switch %s drops its calls: its lease has lapsed.", self.identity)
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

    # Periodic work

    async def _beat(self) -> None:
        await self._lease_threads.run(
            heartbeat.beat,
            self.identity,
            self.calls,
            self._gateway_views(),
            self.snapshot().problems,
        )
        await self._measure_time()

    async def _measure_time(self) -> None:
        self._time.add(*await self._lease_threads.run(_timed_database_now))

    async def _watch_gateways(self) -> None:
        if await self._gateway_watch.look():
            await self._beat()

    # Stopping

    async def _wait_for_drain(self) -> None:
        """Return when it is time to end the remaining calls."""
        await self._draining.wait()
        drain = settings.drain if self._drain is None else self._drain
        deadline = time.monotonic() + drain
        if drain and self.calls:
            logger.info("Switch %s is draining. Calls in progress: %d.", self.identity, self.calls)
        while self.calls and time.monotonic() < deadline and not self._ending.is_set():
            await asyncio.sleep(DRAIN)
        self._ending.set()

    async def _end_all(self) -> None:
        if self.calls:
            logger.info("Switch %s ends its calls: %d.", self.identity, self.calls)
        for call in list(self._calls.values()):
            call.handle(HangUpRequested(Cause.SWITCH_STOPPED))
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.calls and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN)
        if self.calls:
            logger.error("Calls left for another switch to recover: %d.", self.calls)

    async def _sign_off(self) -> None:
        """Delete the heartbeat. Optional, so it does not wait for a database that is down."""
        try:
            async with asyncio.timeout(SIGN_OFF_TIMEOUT):
                await self._threads.run(heartbeat.sign_off, self.identity)
        except (DatabaseError, TimeoutError) as error:
            reason = str(error) or "timeout"
            logger.warning("Switch %s could not sign off: %s", self.identity, reason)


def _timed_database_now() -> tuple[datetime, float, float]:
    began = time.monotonic()
    moment = database_now()
    return moment, began, time.monotonic()
