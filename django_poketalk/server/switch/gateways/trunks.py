"""The base class of gateways to real phones: tracks legs, and enforces the limits of trunks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from django_poketalk.server.routing.trunk import Trunk
from django_poketalk.shared.logs import get_logger

from ..clock import Clock
from ..machine.facts_and_commands import Cause, Failed, HungUp, LegFact, Route, Side
from .base import BaseGateway, CallKey, LegKey, Report

logger = get_logger(__name__)

SECOND = 1.0
# Seconds that a leg waits for its trunk's rate. Leg B waits longer, because leg A has been rung for
# it; when there are too many calls, their legs A use other gateways.
LONGEST_WAIT = {Side.A: 1.0, Side.B: 5.0}


def unsafe(route: Route) -> str:
    """Why this gateway's settings are not sent to anybody, or "" if they may be. Such a row was
    written without validation.
    """
    setting = route.trunk.unsafe_setting if route.trunk else ""
    return f"its {setting} has characters that could forge a header" if setting else ""


class Limits:
    """The live legs, and when legs are originated, in seconds of the switch's clock."""

    def __init__(self) -> None:
        self._routes: dict[LegKey, Route] = {}
        self._starts: dict[int, deque[float]] = {}  # by gateway

    def __contains__(self, leg: LegKey) -> bool:
        return leg in self._routes

    def route_of(self, leg: LegKey) -> Route | None:
        """The route of a live leg; None if it has ended."""
        return self._routes.get(leg)

    def admit(self, leg: LegKey, route: Route, trunk: Trunk, now: float) -> float | None:
        """Count one more leg. Return when to originate it, at most `LONGEST_WAIT` seconds later;
        None if its trunk's rate does not allow that. Legs are originated in the order of admission.
        """
        start = now
        if trunk.calls_per_second:
            starts = self._starts.setdefault(route.gateway, deque())
            while starts and starts[0] <= now - SECOND:
                starts.popleft()
            if len(starts) >= trunk.calls_per_second:
                start = starts[-trunk.calls_per_second] + SECOND
            if start > now + LONGEST_WAIT[leg.side]:
                return None
            starts.append(start)
        self._routes[leg] = route
        return start

    def release(self, leg: LegKey) -> bool:
        """Stop counting a leg; False if it was not counted."""
        return self._routes.pop(leg, None) is not None


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

    def _pace(
        self, leg: LegKey, route: Route, trunk: Trunk, originate: Callable[[], object]
    ) -> None:
        """Call `originate` as soon as the trunk's rate allows it, unless the leg is hung up before;
        or refuse the leg.
        """

        def originate_live() -> None:
            if leg in self._limits:
                originate()

        now = self.clock.now()
        start = self._limits.admit(leg, route, trunk, now)
        if start is None:
            self._refuse(leg, route, f"more than {trunk.calls_per_second} calls per second")
        elif start <= now:
            originate()
        else:
            self.clock.call_at(start, originate_live)

    def _refuse(self, leg: LegKey, route: Route, reason: str) -> None:
        logger.warning("Gateway %d cannot take a call now: %s.", route.gateway, reason)
        fact = Failed(leg.side, leg.attempt, Cause.GATEWAY_DOWN, transport=True)
        self._loop.call_soon(self.report, leg.call, fact)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
