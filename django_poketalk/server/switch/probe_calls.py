"""Test calls: ring one number through one gateway to check that it gets through. Free of charge and
separate from real calls: no plan, no hold, no events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from ..conf import settings
from ..models import TestCall
from .clock import Clock
from .database_threads import DatabaseThreads
from .gateways.base import BaseGateway, CallKey, LegKey
from .machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    LegFact,
    Ringing,
    Route,
    Side,
)
from .ownership import plan

logger = logging.getLogger(__name__)

LONGEST = timedelta(minutes=10)  # an active test call older than this has lost its switch
TALK = 3.0  # seconds from the answer until the switch hangs up
STATE = TestCall.State


@dataclass(frozen=True, slots=True)
class ProbeCall:
    """A claimed test call."""

    row: TestCall
    route: Route

    @property
    def leg(self) -> LegKey:
        """Its only leg. Negative keys cannot clash with those of calls."""
        return LegKey(CallKey(-self.row.pk, 0), Side.A, 1)


class ProbeCalls:
    """The test calls of one switch."""

    def __init__(
        self,
        switch: str,
        clock: Clock,
        threads: DatabaseThreads,
        gateways: Mapping[str, BaseGateway],
    ) -> None:
        self._switch = switch
        self._clock = clock
        self._threads = threads
        self._gateways = gateways
        self._facts: dict[CallKey, asyncio.Queue[LegFact]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def start_queued(self) -> None:
        """Claim and start the queued test calls."""
        for probe in await self._threads.run(claim, self._switch, tuple(self._gateways)):
            task = asyncio.create_task(self._run(probe))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def handle(self, call: CallKey, fact: LegFact) -> None:
        """Handle a fact; ignored if it is not about a test call."""
        facts = self._facts.get(call)
        if facts is not None:
            facts.put_nowait(fact)

    async def close(self) -> None:
        """Hang up all test calls."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, probe: ProbeCall) -> None:
        gateway, leg, row = self._gateways[probe.route.kind], probe.leg, probe.row
        facts = self._facts[leg.call] = asyncio.Queue()
        try:
            result = await self._ring(gateway, probe, facts)
        except asyncio.CancelledError:
            result = _ended(Cause.SWITCH_STOPPED)
        except Exception:
            logger.exception("Test call %d failed.", row.pk)
            result = _ended(Cause.GATEWAY_DOWN)
        finally:
            del self._facts[leg.call]
            gateway.hang_up(leg, Cause.NORMAL)
        try:
            await self._threads.run(row.move, STATE.ACTIVE, state=STATE.ENDED, **result)
        except Exception:
            logger.exception("The result of test call %d could not be stored.", row.pk)

    async def _ring(
        self, gateway: BaseGateway, probe: ProbeCall, facts: asyncio.Queue[LegFact]
    ) -> dict[str, Any]:
        """Make the call; the columns to store at its end."""
        row, route = probe.row, probe.route
        gateway.originate(probe.leg, row.number, "", route)
        seconds, timeout_cause = float(route.ring_timeout), Cause.NO_ANSWER
        while True:
            try:
                async with asyncio.timeout(seconds / self._clock.speed):
                    fact = await facts.get()
            except TimeoutError:
                return _ended(timeout_cause)
            match fact:
                case Ringing():
                    await self._store(row, ringing_at=timezone.now())
                case Answered():
                    seconds, timeout_cause = TALK, Cause.NORMAL
                    await self._store(row, answered_at=timezone.now())
                case Failed() | HungUp():
                    return _ended(fact.cause) | {"sip_status": fact.sip_status, "q850": fact.q850}

    async def _store(self, row: TestCall, **changes: Any) -> None:
        await self._threads.run(row.move, STATE.ACTIVE, **changes)


def claim(switch: str, kinds: tuple[str, ...]) -> list[ProbeCall]:
    """Claim the queued test calls through gateways of these kinds. End those that were queued too
    long, and those whose switch has died.
    """
    now = timezone.now()
    claimed = []
    for row in TestCall.objects.exclude(state=STATE.ENDED).select_related("gateway"):
        if row.state == STATE.ACTIVE:
            if row.begun_at is not None and row.begun_at < now - LONGEST:
                row.move(STATE.ACTIVE, state=STATE.ENDED, **_ended(Cause.SWITCH_LOST))
        elif row.created_at < now - timedelta(seconds=settings.queue_timeout):
            row.move(STATE.QUEUED, state=STATE.ENDED, **_ended(Cause.QUEUE_TIMEOUT))
        elif row.gateway.kind in kinds and row.move(
            STATE.QUEUED, state=STATE.ACTIVE, switch=switch, begun_at=now
        ):
            row.switch = switch
            claimed.append(ProbeCall(row, plan.route(row.gateway)))
    return claimed


def _ended(cause: Cause) -> dict[str, Any]:
    return {"ended_at": timezone.now(), "hangup_cause": cause}
