"""A gateway without a switch: what it is asked by hand, and what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from django_poketalk.server.routing.trunk import AsteriskTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.asterisk.calls import Asterisk
from django_poketalk.server.switch.gateways.asterisk.connection import Address
from django_poketalk.server.switch.gateways.asterisk.gateway import AsteriskGateway
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.machine.facts_and_commands import Cause, LegFact, Route, Side

from . import ari
from .ari import Ari

CALL = CallKey(17, 1)
A, B = LegKey(CALL, Side.A, 1), LegKey(CALL, Side.B, 1)
NUMBER, CALLER = "4420794601", "442079460999"
PATIENCE = 10.0  # seconds


class Desk:
    """One run of a switch, as its gateway sees it."""

    def __init__(self, pbx: Ari, **trunk: Any) -> None:
        self.pbx = pbx
        self.facts: list[LegFact] = []
        self.trunk = AsteriskTrunk(
            **{
                "url": pbx.url,
                "username": ari.USER,
                "password": ari.PASSWORD,
                "application": "poketalk",
                "endpoint": "PJSIP/{number}@trunk",
                **trunk,
            }
        )
        self.route = Route(1, "asterisk", 30, self.trunk)
        self.gateway = AsteriskGateway(Clock(), lambda call, fact: self.facts.append(fact))

    @property
    def asterisk(self) -> Asterisk:
        trunk = self.trunk
        address = Address(trunk.url, trunk.username, trunk.password, trunk.application)
        return self.gateway._connect(address)

    @property
    def app(self) -> str:
        return self.asterisk.application

    def ring(self, leg: LegKey, ending: str = "99", **trunk: Any) -> None:
        route = replace(self.route, trunk=replace(self.trunk, **trunk))
        self.gateway.originate(leg, f"{NUMBER}{ending}", CALLER, route)

    def hang_up(self, leg: LegKey, cause: Cause = Cause.NORMAL) -> None:
        self.gateway.hang_up(leg, cause)

    async def listen(self) -> None:
        """Have the WebSocket open, at both ends."""
        self.gateway.watch([self.route])
        connection = self.asterisk.connection
        await until(lambda: self.app in self.pbx.sockets and connection.is_up)

    async def talk(self) -> None:
        """Two phones, connected."""
        self.ring(A)
        await self.told(3, of=2)
        self.ring(B)
        await self.told(3, of=4)
        self.gateway.bridge(A, B)
        await until(lambda: bool(self.pbx.joined))

    async def told(self, patience: float = PATIENCE, *, of: int) -> list[LegFact]:
        """Wait for so many facts; all that have come."""
        await until(lambda: len(self.facts) >= of, patience)
        return self.facts


def at(pbx: Ari, script: Callable[[Desk], Awaitable[None]], **trunk: Any) -> list[LegFact]:
    """Do this at a desk; all that was told until the end."""
    desk = Desk(pbx, **trunk)

    async def work() -> None:
        await desk.gateway.open()
        try:
            async with asyncio.timeout(PATIENCE):
                await script(desk)
        finally:
            await desk.gateway.close()

    asyncio.run(work())
    return desk.facts


async def until(holds: Callable[[], object], patience: float = PATIENCE) -> None:
    async with asyncio.timeout(patience):
        while not holds():
            await asyncio.sleep(0.005)
