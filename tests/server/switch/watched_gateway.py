"""A gateway whose simulated phones are watched."""

from __future__ import annotations

from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.base import CallKey, LegKey, Report
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    Failed,
    HungUp,
    LegFact,
    Route,
)


class WatchedGateway(SimulatedGateway):
    """Simulated phones that record dialed legs, hang-ups of the switch, and ends by the phones."""

    dialed: list[LegKey]
    hung_up: list[tuple[LegKey, Cause]]
    ended_by_phone: list[LegKey]

    def __init__(self, clock: Clock, report: Report) -> None:
        def watch(call: CallKey, fact: LegFact) -> None:
            if isinstance(fact, Failed | HungUp):
                self.ended_by_phone.append(LegKey(call, fact.side, fact.attempt))
            report(call, fact)

        super().__init__(clock, watch)

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        self.dialed.append(leg)
        super().originate(leg, number, caller, route)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self.hung_up.append((leg, cause))
        super().hang_up(leg, cause)
