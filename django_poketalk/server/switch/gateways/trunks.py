"""The base class of gateways to real phones: tracks legs, and enforces the limits of trunks."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Coroutine
from typing import Any

from django_poketalk.server.routing.trunk import Trunk

from ..clock import Clock
from ..machine.facts_and_commands import Cause, Failed, HungUp, LegFact, Route
from .base import BaseGateway, CallKey, LegKey, Report

logger = logging.getLogger(__name__)

SECOND = 1.0


class Limits:
    """The live legs by gateway, and when legs were originated, in seconds of the switch's clock."""

    def __init__(self) -> None:
        self._routes: dict[LegKey, Route] = {}
        self._busy: Counter[int] = Counter()
        self._originated: dict[int, deque[float]] = {}

    def __contains__(self, leg: LegKey) -> bool:
        return leg in self._routes

    def admit(self, leg: LegKey, route: Route, trunk: Trunk, now: float) -> str:
        """Count one more leg, or return why its trunk cannot take it."""
        if trunk.max_channels and self._busy[route.gateway] >= trunk.max_channels:
            return f"all {trunk.max_channels} channels are busy"
        if not self._within_rate(route, trunk, now):
            return f"more than {trunk.calls_per_second} calls per second"
        self._routes[leg] = route
        self._busy[route.gateway] += 1
        return ""

    def release(self, leg: LegKey) -> bool:
        """Stop counting a leg; False if it was not counted."""
        route = self._routes.pop(leg, None)
        if route is not None:
            self._busy[route.gateway] -= 1
        return route is not None

    def _within_rate(self, route: Route, trunk: Trunk, now: float) -> bool:
        if not trunk.calls_per_second:
            return True
        originated = self._originated.setdefault(route.gateway, deque())
        while originated and originated[0] <= now - SECOND:
            originated.popleft()
        if len(originated) >= trunk.calls_per_second:
            return False
        originated.append(now)
        return True


class TrunkGateway(BaseGateway):
    """A gateway to real phones. A leg is live from `originate` until it ends or is hung up; facts
    about other legs are dropped.
    """

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._limits = Limits()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Nothing is connected before the first route is used."""
        self._loop = asyncio.get_running_loop()

    def take_fact(self, call: CallKey, fact: LegFact) -> None:
        """Report a fact about a live leg. Call this in the switch's event loop."""
        leg = LegKey(call, fact.side, fact.attempt)
        is_end = isinstance(fact, Failed | HungUp)
        if self._limits.release(leg) if is_end else leg in self._limits:
            self.report(call, fact)

    def _refuse(self, leg: LegKey, route: Route, reason: str) -> None:
        logger.warning("Gateway %d cannot take a call now: %s.", route.gateway, reason)
        fact = Failed(leg.side, leg.attempt, Cause.GATEWAY_DOWN, transport=True)
        self._loop.call_soon(self.report, leg.call, fact)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
