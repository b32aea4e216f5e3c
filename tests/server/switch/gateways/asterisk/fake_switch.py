"""An Asterisk gateway without a switch: tests call it, and read the facts that it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from django_poketalk.server.routing.trunk import AsteriskTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.asterisk.connection import Address
from django_poketalk.server.switch.gateways.asterisk.gateway import AsteriskGateway
from django_poketalk.server.switch.gateways.asterisk.stasis import StasisApplication
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.machine.facts_and_commands import Cause, LegFact, Route, Side

from .fake_asterisk import FakeAsterisk
from .real_asterisk import RealAsterisk

Pbx = FakeAsterisk | RealAsterisk

CALL = CallKey(17, 1)
A, B = LegKey(CALL, Side.A, 1), LegKey(CALL, Side.B, 1)
NUMBER, CALLER = "4420794601", "442079460999"
TIMEOUT = 10.0  # seconds


class FakeSwitch:
    """A switch with one gateway. Keyword arguments replace fields of its trunk."""

    def __init__(self, pbx: Pbx, **trunk: Any) -> None:
        self.pbx = pbx
        self.facts: list[LegFact] = []
        self.trunk = AsteriskTrunk(
            **{
                "url": pbx.url,
                "username": pbx.user,
                "password": pbx.password,
                "application": "poketalk",
                "endpoint": "PJSIP/{number}@trunk",
                **trunk,
            }
        )
        self.route = Route(1, "asterisk", 30, self.trunk)
        self.gateway = AsteriskGateway(Clock(), lambda call, fact: self.facts.append(fact))

    @property
    def asterisk(self) -> StasisApplication:
        trunk = self.trunk
        address = Address(trunk.url, trunk.username, trunk.password, trunk.application)
        return self.gateway._connect(address)

    @property
    def app(self) -> str:
        return self.asterisk.name

    def ring(self, leg: LegKey, ending: str = "99", caller: str = CALLER, **trunk: Any) -> None:
        route = replace(self.route, trunk=replace(self.trunk, **trunk))
        self.gateway.originate(leg, f"{NUMBER}{ending}", caller, route)

    def hang_up(self, leg: LegKey, cause: Cause = Cause.NORMAL) -> None:
        self.gateway.hang_up(leg, cause)

    async def listen(self) -> None:
        """Wait until the WebSocket is open at both ends."""
        self.gateway.watch([self.route])
        connection = self.asterisk.connection
        await until(lambda: self.app in self.pbx.sockets and connection.is_up)

    async def talk(self) -> None:
        """Connect two phones."""
        self.ring(A)
        await self.wait_for_facts(2, 3)
        self.ring(B)
        await self.wait_for_facts(4, 3)
        await self.bridge()

    async def bridge(self) -> None:
        """Connect both legs to each other. Behind a dialplan, each is in a bridge with its phone
        before.
        """
        self.gateway.bridge(A, B)
        both = frozenset(f"{self.app}.17.1.{leg}" for leg in ("A1", "B1"))
        await until(lambda: both in self.pbx.bridged)

    async def wait_for_facts(self, count: int, timeout: float = TIMEOUT) -> list[LegFact]:
        """Wait for this many facts. Return all facts."""
        await until(lambda: len(self.facts) >= count, timeout)
        return self.facts


def run(pbx: Pbx, script: Callable[[FakeSwitch], Awaitable[None]], **trunk: Any) -> list[LegFact]:
    """Run the script. Return all facts that were reported before the gateway was closed."""
    switch = FakeSwitch(pbx, **trunk)

    async def work() -> None:
        await switch.gateway.open()
        try:
            async with asyncio.timeout(TIMEOUT):
                await script(switch)
        finally:
            await switch.gateway.close()

    asyncio.run(work())
    return switch.facts


async def until(holds: Callable[[], object], timeout: float = TIMEOUT) -> None:
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.005)
