"""Test calls: ring one number through one gateway to check that it gets through. Free of charge and
separate from real calls: no plan, no hold, no events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from django_poketalk.shared.compiled import CompiledQuery
from django_poketalk.shared.logs import get_logger

from .. import probe_rules
from ..conf import settings
from ..database.clock import DatabaseNow, database_now
from ..models import Switch, TestCall
from ..models.switches import ALIVE_WITHIN
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
from .ownership import catalog
from .ownership.channels import FreeChannels

logger = get_logger(__name__)

LONGEST = timedelta(minutes=10)  # no test call lasts this long; its switch could not store the end
TALK = 3.0  # seconds from the answer until the switch hangs up
STATE = TestCall.State
ANY_LIVE = CompiledQuery(
    lambda: TestCall.objects.exclude(state=STATE.ENDED).order_by().values_list("pk")[:1]
)


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
        """Start the queued test calls, and hang up those whose switch has died. These end after
        that, so that another switch hangs them up if this one dies in between.
        """
        claimed, lost = await self._threads.run(claim, self._switch, tuple(self._gateways))
        for probe in lost:
            try:
                if gateway := self._gateways.get(probe.route.kind):
                    gateway.end_dialog(probe.row.dialog, probe.route)
            except Exception:
                logger.exception("Hanging up test call %d failed.", probe.row.pk)
            await self._threads.run(end_lost, probe.row)
        for probe in claimed:
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
        await self._store(row, dialog=gateway.dialog_of(probe.leg))
        seconds, timeout_cause = float(route.ring_timeout), Cause.NO_ANSWER
        while True:
            try:
                async with asyncio.timeout(seconds / self._clock.speed):
                    fact = await facts.get()
            except TimeoutError:
                return _ended(timeout_cause)
            match fact:
                case Ringing():
                    await self._store(row, ringing_at=DatabaseNow())
                case Answered():
                    seconds, timeout_cause = TALK, Cause.NORMAL
                    dialog = {"dialog": fact.dialog} if fact.dialog else {}
                    await self._store(row, answered_at=DatabaseNow(), **dialog)
                case Failed() | HungUp():
                    return _ended(fact.cause) | {"sip_status": fact.sip_status, "q850": fact.q850}

    async def _store(self, row: TestCall, **changes: Any) -> None:
        await self._threads.run(row.move, STATE.ACTIVE, **changes)


def claim(switch: str, kinds: tuple[str, ...]) -> tuple[list[ProbeCall], list[ProbeCall]]:
    """Claim the queued test calls through gateways of these kinds that the rules still allow. End
    those that were queued too long, and those whose switch has died. Return the claimed ones, and
    those that may still ring, which `end_lost` ends.
    """
    claimed: list[ProbeCall] = []
    lost: list[ProbeCall] = []
    if not ANY_LIVE.rows():
        return claimed, lost
    now = database_now()
    alive = set(
        Switch.objects.filter(seen_at__gt=now - ALIVE_WITHIN).values_list("name", flat=True)
    )
    for row in TestCall.objects.exclude(state=STATE.ENDED).select_related("gateway"):
        probe = ProbeCall(row, catalog.route(row.gateway))
        if row.state == STATE.ACTIVE:
            if _is_lost(row, now, alive):
                lost.append(probe) if row.dialog else end_lost(row)
        elif row.created_at < now - timedelta(seconds=settings.queue_timeout):
            row.move(STATE.QUEUED, state=STATE.ENDED, **_ended(Cause.QUEUE_TIMEOUT))
        elif cause := probe_rules.cause_against(row.gateway, row.number):
            row.move(STATE.QUEUED, state=STATE.ENDED, **_ended(Cause(cause)))
        elif row.gateway.kind in kinds and _begin(probe, switch, now):
            row.switch = switch
            claimed.append(probe)
    return claimed, lost


def end_lost(row: TestCall) -> None:
    """Store the end of a test call whose switch has died."""
    row.move(STATE.ACTIVE, state=STATE.ENDED, **_ended(Cause.SWITCH_LOST))


def _is_lost(row: TestCall, now: datetime, alive: set[str]) -> bool:
    """Whether the switch of an active test call has died. A new one may have no heartbeat yet."""
    if row.begun_at is None:
        return False
    return row.begun_at < now - (LONGEST if row.switch in alive else ALIVE_WITHIN)


@transaction.atomic
def _begin(probe: ProbeCall, switch: str, now: datetime) -> bool:
    """Claim a queued test call, unless all channels of its gateway are in use."""
    has_channel = FreeChannels([probe.route]).has([probe.route])
    return has_channel and probe.row.move(
        STATE.QUEUED, state=STATE.ACTIVE, switch=switch, begun_at=now
    )


def _ended(cause: Cause) -> dict[str, Any]:
    return {"ended_at": DatabaseNow(), "hangup_cause": cause, "dialog": ""}
