"""Test calls: one number rung through one gateway, to see whether it gets through. Free of charge
and apart from real calls: no plan, no hold, no events.
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

LONGEST = timedelta(minutes=10)  # after which whoever made a test call is gone
TALK = 3.0  # seconds that the phone may be held before it is put down
STATE = TestCall.State


@dataclass(frozen=True, slots=True)
class ProbeCall:
    """A test call that is now ours."""

    row: TestCall
    route: Route

    @property
    def leg(self) -> LegKey:
        """Below zero, where no call's key is."""
        return LegKey(CallKey(-self.row.pk, 0), Side.A, 1)


class ProbeCalls:
    """The test calls of one switch."""

    def __init__(
        self,
        switch: str,
        clock: Clock,
        database: DatabaseThreads,
        gateways: Mapping[str, BaseGateway],
    ) -> None:
        self._switch = switch
        self._clock = clock
        self._database = database
        self._gateways = gateways
        self._facts: dict[CallKey, asyncio.Queue[LegFact]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def poll(self) -> None:
        """Begin what was asked for."""
        for test_call in await self._database.run(claim, self._switch, tuple(self._gateways)):
            task = asyncio.create_task(self._run(test_call))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def handle(self, call: CallKey, fact: LegFact) -> bool:
        """Take a fact about a test call; False when it is about no such call."""
        facts = self._facts.get(call)
        if facts is not None:
            facts.put_nowait(fact)
        return facts is not None

    async def close(self) -> None:
        """Put the phones down."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, test_call: ProbeCall) -> None:
        gateway, leg, row = self._gateways[test_call.route.kind], test_call.leg, test_call.row
        facts = self._facts[leg.call] = asyncio.Queue()
        try:
            ended = await self._ring(gateway, test_call, facts)
        except asyncio.CancelledError:
            ended = _over(Cause.SWITCH_STOPPED)
        except Exception:
            logger.exception("Test call %d could not be made.", row.pk)
            ended = _over(Cause.GATEWAY_DOWN)
        finally:
            del self._facts[leg.call]
            gateway.hang_up(leg, Cause.NORMAL)
        try:
            await self._database.run(row.move, STATE.ACTIVE, state=STATE.ENDED, **ended)
        except Exception:
            logger.exception("What came of test call %d could not be stored.", row.pk)

    async def _ring(
        self, gateway: BaseGateway, test_call: ProbeCall, facts: asyncio.Queue[LegFact]
    ) -> dict[str, Any]:
        """What is to be stored at the end."""
        row, route = test_call.row, test_call.route
        gateway.originate(test_call.leg, row.number, "", route)
        patience, unheard = float(route.ring_timeout), Cause.NO_ANSWER
        while True:
            try:
                async with asyncio.timeout(patience / self._clock.speed):
                    fact = await facts.get()
            except TimeoutError:
                return _over(unheard)
            match fact:
                case Ringing():
                    await self._store(row, ringing_at=timezone.now())
                case Answered():
                    patience, unheard = TALK, Cause.NORMAL
                    await self._store(row, answered_at=timezone.now())
                case Failed() | HungUp():
                    return _over(fact.cause) | {"sip_status": fact.sip_status, "q850": fact.q850}

    async def _store(self, row: TestCall, **changes: Any) -> None:
        await self._database.run(row.move, STATE.ACTIVE, **changes)


def claim(switch: str, kinds: tuple[str, ...]) -> list[ProbeCall]:
    """Take the test calls that wait for a switch with such gateways; end those that waited too
    long, and those whose switch has died.
    """
    now = timezone.now()
    test_calls = []
    for row in TestCall.objects.exclude(state=STATE.ENDED).select_related("gateway"):
        if row.state == STATE.ACTIVE:
            if row.begun_at is not None and row.begun_at < now - LONGEST:
                row.move(STATE.ACTIVE, state=STATE.ENDED, **_over(Cause.SWITCH_LOST))
        elif row.created_at < now - timedelta(seconds=settings.queue_timeout):
            row.move(STATE.QUEUED, state=STATE.ENDED, **_over(Cause.QUEUE_TIMEOUT))
        elif row.gateway.kind in kinds and row.move(
            STATE.QUEUED, state=STATE.ACTIVE, switch=switch, begun_at=now
        ):
            row.switch = switch
            test_calls.append(ProbeCall(row, plan.route(row.gateway)))
    return test_calls


def _over(cause: Cause) -> dict[str, Any]:
    return {"ended_at": timezone.now(), "hangup_cause": cause}
