"""The gateway for SIP: passes work to the SIP thread, and receives facts from it.

It enforces the trunks' limits and monitors whether they are up. It does not import sippy.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from django_poketalk.server.conf import settings
from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.machine.facts_and_commands import Cause, LegFact, Route

from ..base import CallKey, LegKey, Report
from ..trunks import TrunkGateway
from . import causes, thread
from .health import TrunkHealth

if TYPE_CHECKING:
    from .stack import Stack

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 5.0  # seconds for the BYEs and CANCELs of a switch that stops
NOWHERE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737); nothing is sent there


class SipGateway(TrunkGateway):
    """Real phones through SIP trunks."""

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._opening: asyncio.Task[Stack] | None = None
        self._health: dict[int, TrunkHealth] = {}
        self._probes: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for probe in self._probes:
            probe.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT)
        if (stack := self._stack()) is not None:
            await asyncio.wrap_future(thread.submit(stack.hang_up_all))
            deadline = time.monotonic() + CLOSE_TIMEOUT
            while time.monotonic() < deadline and stack.is_waiting:
                await asyncio.sleep(0.05)
            await asyncio.wrap_future(thread.submit(stack.close))

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring a phone, if the route's trunk is up and can take another call now."""
        trunk = route.trunk
        if not isinstance(trunk, SipTrunk):
            raise ValueError(f"Gateway {route.gateway} is not a SIP trunk.")
        # A trunk without probes never counts as down: no probe could report it up again.
        if trunk.keep_alive and not self._health_of(route).up:
            self._refuse(leg, route, "it is down")
        elif reason := self._limits.admit(leg, route, trunk, self.clock.now()):
            self._refuse(leg, route, reason)
        else:
            self._start(self._originate(leg, number, caller, trunk, route.ring_timeout))

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        if (stack := self._stack()) is not None:
            thread.call_soon(stack.bridge, leg_a, leg_b)

    def dial_extension(self, leg_b: LegKey, digits: str) -> None:
        if (stack := self._stack()) is not None:
            thread.call_soon(stack.dial_extension, leg_b, digits)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self._limits.release(leg)
        if (stack := self._stack()) is not None:
            thread.call_soon(stack.hang_up, leg, cause)

    def end_dialog(self, dialog: str, route: Route) -> None:
        if isinstance(route.trunk, SipTrunk):
            self._start(self._end_dialog(dialog, route.trunk))

    def watch(self, routes: Iterable[Route]) -> None:
        """Probe each trunk whose next probe is due."""
        now = self.clock.now()
        for route in routes:
            trunk = route.trunk
            if isinstance(trunk, SipTrunk) and self._health_of(route).probe_due(now, trunk):
                probe = self._loop.create_task(self._probe(route, trunk))
                self._probes.add(probe)
                probe.add_done_callback(self._probes.discard)

    async def _originate(
        self, leg: LegKey, number: str, caller: str, trunk: SipTrunk, ring_timeout: int
    ) -> None:
        try:
            stack = await self._open_stack()
            trunk = await self._resolve(trunk)
        except OSError as error:
            logger.error("Cannot originate a call through %r: %s", trunk, error)
            self.take_fact(leg.call, causes.failed(leg, 503, 0))
            return
        if leg in self._limits:  # otherwise it has been hung up meanwhile
            thread.call_soon(stack.originate, leg, number, caller, trunk, ring_timeout)

    async def _end_dialog(self, dialog: str, trunk: SipTrunk) -> None:
        stack = await self._open_stack()
        thread.call_soon(stack.end_dialog, dialog, await self._resolve(trunk))

    async def _probe(self, route: Route, trunk: SipTrunk) -> None:
        response: asyncio.Future[int] = self._loop.create_future()

        def set_status(status: int) -> None:
            if not response.done():
                response.set_result(status)

        def on_response(status: int) -> None:
            self._loop.call_soon_threadsafe(set_status, status)

        try:
            stack = await self._open_stack()
            thread.call_soon(stack.probe, await self._resolve(trunk), on_response)
            status = await response
        except OSError:
            status = 503
        health = self._health_of(route)
        if health.record(status):
            logger.warning("Gateway %d is %s.", route.gateway, "up" if health.up else "down")

    def _health_of(self, route: Route) -> TrunkHealth:
        return self._health.setdefault(route.gateway, TrunkHealth())

    def _stack(self) -> Stack | None:
        opening = self._opening
        if opening is None or not opening.done() or opening.exception():
            return None
        return opening.result()

    async def _open_stack(self) -> Stack:
        """The stack, opened on first use. Raises `OSError` if its port is not available."""
        if self._opening is None or (self._opening.done() and self._opening.exception()):
            self._opening = asyncio.create_task(self._new_stack())
        return await asyncio.shield(self._opening)

    async def _new_stack(self) -> Stack:
        address, port = settings.sip_address or _own_address(), settings.sip_port

        def new_stack() -> Stack:
            from .stack import Stack

            return Stack(address, port, self._take_fact_from_thread)

        stack = await asyncio.wrap_future(thread.submit(new_stack))
        logger.info("SIP on %s:%d.", address, port)
        return stack

    def _take_fact_from_thread(self, call: CallKey, fact: LegFact) -> None:
        try:
            self._loop.call_soon_threadsafe(self.take_fact, call, fact)
        except RuntimeError:  # the switch has stopped, and its loop is closed
            logger.debug("Ignored a fact about a SIP call: the switch has stopped.")

    async def _resolve(self, trunk: SipTrunk) -> SipTrunk:
        """The trunk with its host's address. Raises `OSError` if the host has none."""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(trunk.host)
            return trunk
        try:
            found = await self._loop.getaddrinfo(trunk.host, None, family=socket.AF_INET)
        except UnicodeError as error:
            raise OSError(f"Invalid host name: {error}") from error
        return replace(trunk, host=str(found[0][4][0]))


def _own_address() -> str:
    """The address of the default route, or loopback if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
