"""The switch's side of Asterisk: which calls go to which, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import partial

from django_poketalk.server.routing.trunk import ANONYMOUS, AsteriskTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Route, Side

from ..base import BaseGateway, LegKey, Report
from ..limits import Limits
from .calls import Asterisk
from .connection import Address

logger = logging.getLogger(__name__)

WITHHELD = '"Anonymous" <anonymous>'


class AsteriskGateway(BaseGateway):
    """Real phones, by way of the Asterisks that the routes name: one WebSocket to each, however
    many gateways lead there.
    """

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._limits = Limits()
        self._asterisks: dict[Address, Asterisk] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Nothing yet: Asterisks are connected to as routes name them."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Finish what is under way and let go of all Asterisks."""
        for address in list(self._asterisks):
            self._let_go(address)
        if self._closing:
            await asyncio.wait(self._closing)

    # What the switch wants

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring a phone, if its trunk takes one more call now and its Asterisk is up."""
        trunk = _trunk(route)
        endpoint = trunk.endpoint_of(number)
        asterisk = self._asterisk(trunk)
        refusal = self._refusal(leg, route, trunk, asterisk)
        if refusal:
            logger.warning("Gateway %d takes no call now: %s.", route.gateway, refusal)
            self._loop.call_soon(partial(self.failed, leg, Cause.GATEWAY_DOWN, transport=True))
            return
        shown = trunk.shown(caller)
        shown = WITHHELD if shown == ANONYMOUS else shown
        asterisk.originate(leg, endpoint, shown, route.ring_timeout)

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Let two phones hear each other."""
        if (asterisk := self._asterisk_of(leg_b)) is not None:
            asterisk.bridge(leg_a, leg_b)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        """Put a phone down."""
        self._limits.release(leg)
        if (asterisk := self._asterisk_of(leg)) is not None:
            asterisk.hang_up(leg, cause)

    def end_dialog(self, dialog: str, route: Route) -> None:
        """Put down a phone, and what else there is of its call, that was called by a switch which
        is gone.
        """
        try:
            self._asterisk(_trunk(route)).end_call_of(dialog)
        except ValueError as error:  # the gateway was of another kind then
            logger.warning("Gateway %d has nothing to put down: %s", route.gateway, error)

    def watch(self, routes: Iterable[Route]) -> None:
        """Connect to the Asterisks of these routes, end what is still to be ended, and let go of
        those that nobody names now.
        """
        wanted = {_address(_trunk(route)) for route in routes}
        for address in wanted:
            self._connect(address)
        for address, asterisk in list(self._asterisks.items()):
            if asterisk.connection.is_up:
                asterisk.retry_hang_ups()
            if address not in wanted and asterisk.is_idle:
                self._let_go(address)

    def _refusal(self, leg: LegKey, route: Route, trunk: AsteriskTrunk, asterisk: Asterisk) -> str:
        refusal = self._limits.admit(leg, route, trunk, self.clock.now())
        if not refusal and leg.side is Side.B and not asterisk.has_leg_a(leg.call):
            self._limits.release(leg)
            return "leg A is on another Asterisk"
        return refusal

    def _asterisk(self, trunk: AsteriskTrunk) -> Asterisk:
        return self._connect(_address(trunk))

    def _connect(self, address: Address) -> Asterisk:
        if address not in self._asterisks:
            self._asterisks[address] = Asterisk(address, self)
        return self._asterisks[address]

    def _asterisk_of(self, leg: LegKey) -> Asterisk | None:
        return next((each for each in self._asterisks.values() if each.has(leg)), None)

    def _let_go(self, address: Address) -> None:
        task = self._loop.create_task(self._asterisks.pop(address).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # What came of it

    def on_ringing(self, leg: LegKey) -> None:
        """The phone rings."""
        self.ringing(leg)

    def on_answered(self, leg: LegKey, dialog: str) -> None:
        """The phone was picked up."""
        self.answered(leg, dialog)

    def on_failed(
        self, leg: LegKey, cause: Cause, *, transport: bool, sip_status: int = 0, q850: int = 0
    ) -> None:
        """The phone will not be answered."""
        self._limits.release(leg)
        self.failed(leg, cause, transport=transport, sip_status=sip_status, q850=q850)

    def on_hung_up(self, leg: LegKey, cause: Cause, *, sip_status: int = 0, q850: int = 0) -> None:
        """The phone was put down."""
        self._limits.release(leg)
        self.hung_up(leg, cause, sip_status=sip_status, q850=q850)


def _trunk(route: Route) -> AsteriskTrunk:
    if not isinstance(route.trunk, AsteriskTrunk):
        raise ValueError(f"Gateway {route.gateway} is not an Asterisk.")
    return route.trunk


def _address(trunk: AsteriskTrunk) -> Address:
    return Address(trunk.url, trunk.username, trunk.password, trunk.application)
