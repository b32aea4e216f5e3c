"""Simulated phones behind gateways that a test can take down."""

from __future__ import annotations

from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.base import Report
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import Route


class BreakableGateway(SimulatedGateway):
    """`problems` has why gateways are down, by primary key."""

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self.problems: dict[int, str] = {}

    def problem(self, route: Route) -> str:
        return self.problems.get(route.gateway, "")
