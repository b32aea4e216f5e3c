"""What one switch asks of the ways to real phones, and what each of them can bear."""

from __future__ import annotations

from collections import Counter, deque

from django_poketalk.server.routing.trunk import Trunk

from ..machine.facts_and_commands import Route
from .base import LegKey

SECOND = 1.0


class Limits:
    """The legs that are up or being rung, by their gateways. Times are seconds of the switch's
    clock.
    """

    def __init__(self) -> None:
        self._routes: dict[LegKey, Route] = {}
        self._busy: Counter[int] = Counter()
        self._lately: dict[int, deque[float]] = {}

    def __contains__(self, leg: LegKey) -> bool:
        return leg in self._routes

    def admit(self, leg: LegKey, route: Route, trunk: Trunk, now: float) -> str:
        """Count one more leg, or say why it may not be: its trunk can bear no more."""
        if trunk.max_channels and self._busy[route.gateway] >= trunk.max_channels:
            return f"all {trunk.max_channels} channels are busy"
        if not self._in_time(route, trunk, now):
            return f"more than {trunk.calls_per_second} calls per second"
        self._routes[leg] = route
        self._busy[route.gateway] += 1
        return ""

    def release(self, leg: LegKey) -> bool:
        """Take a leg out of the count; whether it was in it."""
        route = self._routes.pop(leg, None)
        if route is not None:
            self._busy[route.gateway] -= 1
        return route is not None

    def _in_time(self, route: Route, trunk: Trunk, now: float) -> bool:
        if not trunk.calls_per_second:
            return True
        lately = self._lately.setdefault(route.gateway, deque())
        while lately and lately[0] <= now - SECOND:
            lately.popleft()
        if len(lately) >= trunk.calls_per_second:
            return False
        lately.append(now)
        return True
