"""The switch's side of SIP: asks the SIP thread to ring, connect and put down, and hears of it.

Here is what each trunk can bear, and whether it is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django_poketalk.server.conf import settings
from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Route

from ..base import BaseGateway, LegKey, Report
from ..limits import Limits
from . import causes, loop
from .health import Health

if TYPE_CHECKING:
    from .stack import Stack

logger = logging.getLogger(__name__)

GOODBYE = 5.0  # seconds at most for the BYEs and CANCELs of a switch that stops
NOWHERE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737); nothing is sent there


class SipGateway(BaseGateway):
    """Real phones, by way of the trunks that the routes name."""

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._stack: asyncio.Task[Stack] | None = None
        self._limits = Limits()
        self._health: dict[int, Health] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._probes: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Nothing yet: the port is taken when the first call goes out."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Put all phones down and let go of the port."""
        for task in self._probes:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GOODBYE)
        if (stack := self._opened()) is not None:
            await asyncio.wrap_future(loop.ask(stack.close))
            give_up = time.monotonic() + GOODBYE
            await asyncio.sleep(0.2)  # phones are put down a moment after it was asked for
            while time.monotonic() < give_up and stack.is_waiting:
                await asyncio.sleep(0.05)
            await asyncio.wrap_future(loop.ask(stack.shut))

    # What the switch wants

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring a phone through the route's trunk, if that takes one more call now."""
        if not isinstance(route.trunk, SipTrunk):
            raise ValueError(f"Gateway {route.gateway} is not a SIP trunk.")
        refusal = self._refusal(leg, route, route.trunk)
        if refusal:
            logger.warning("Gateway %d takes no call now: %s.", route.gateway, refusal)
            self._loop.call_soon(partial(self.failed, leg, Cause.GATEWAY_DOWN, transport=True))
            return
        self._start(
            self._originate(leg, number, caller, route.trunk, route.ring_timeout), self._tasks
        )

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Let two phones hear each other."""
        if (stack := self._opened()) is not None:
            loop.call(stack.bridge, leg_a, leg_b)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        """Put a phone down."""
        self._limits.release(leg)
        if (stack := self._opened()) is not None:
            loop.call(stack.hang_up, leg, cause)

    def end_dialog(self, dialog: str, route: Route) -> None:
        """Put down a phone that was called by a switch which is gone."""
        if isinstance(route.trunk, SipTrunk):
            self._start(self._end_dialog(dialog, route.trunk), self._tasks)

    def watch(self, routes: Iterable[Route]) -> None:
        """Ask each trunk that wants to be asked whether it is up, when it is time to."""
        now = self.clock.now()
        for route in routes:
            trunk = route.trunk
            if isinstance(trunk, SipTrunk) and self._health_of(route).probe_due(now, trunk):
                self._start(self._probe(route, trunk), self._probes)

    def _refusal(self, leg: LegKey, route: Route, trunk: SipTrunk) -> str:
        if trunk.keep_alive and not self._health_of(route).up:  # else it could never rise
            return "it is down"
        return self._limits.admit(leg, route, trunk, self.clock.now())

    async def _originate(
        self, leg: LegKey, number: str, caller: str, trunk: SipTrunk, ring_timeout: int
    ) -> None:
        try:
            stack = await self._open()
            trunk = await self._resolved(trunk)
        except OSError as error:
            logger.error("No call can be made through %r: %s", trunk, error)
            self._on_failed(leg, 503, 0)
            return
        if leg in self._limits:  # else it was put down meanwhile
            loop.call(stack.originate, leg, number, caller, trunk, ring_timeout)

    async def _end_dialog(self, dialog: str, trunk: SipTrunk) -> None:
        stack = await self._open()
        loop.call(stack.end_dialog, dialog, await self._resolved(trunk))

    async def _probe(self, route: Route, trunk: SipTrunk) -> None:
        answer: asyncio.Future[int] = self._loop.create_future()

        def answered(status: int) -> None:
            self._loop.call_soon_threadsafe(_set, answer, status)

        try:
            stack = await self._open()
            loop.call(stack.probe, await self._resolved(trunk), answered)
            status = await answer
        except OSError:
            status = 503
        health = self._health_of(route)
        if health.answered(status):
            logger.warning("Gateway %d is %s.", route.gateway, "up" if health.up else "down")

    # The port

    def _opened(self) -> Stack | None:
        if self._stack is None or not self._stack.done() or self._stack.exception():
            return None
        return self._stack.result()

    async def _open(self) -> Stack:
        if self._stack is None or (self._stack.done() and self._stack.exception()):
            self._stack = asyncio.create_task(self._open_stack())
        return await asyncio.shield(self._stack)

    async def _open_stack(self) -> Stack:
        address = settings.sip_address or _own_address()
        reports = _Reports(self._loop, self)
        stack = await asyncio.wrap_future(loop.ask(_stack, address, settings.sip_port, reports))
        logger.info("SIP on %s:%d.", address, settings.sip_port)
        return stack

    async def _resolved(self, trunk: SipTrunk) -> SipTrunk:
        """The trunk with its host's address; looked up here, where nobody else waits for it.
        `OSError` when it has none.
        """
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(trunk.host)
            return trunk
        try:
            found = await self._loop.getaddrinfo(trunk.host, None, family=socket.AF_INET)
        except UnicodeError as error:
            raise OSError(f"That is no host name: {error}") from error
        return replace(trunk, host=str(found[0][4][0]))

    def _start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)

    def _health_of(self, route: Route) -> Health:
        return self._health.setdefault(route.gateway, Health())

    # What came of it

    def _on_answered(self, leg: LegKey, dialog: str) -> None:
        if leg in self._limits:
            self.answered(leg, dialog)

    def _on_ringing(self, leg: LegKey) -> None:
        if leg in self._limits:
            self.ringing(leg)

    def _on_failed(self, leg: LegKey, status: int, q850: int) -> None:
        if self._limits.release(leg):
            transport = status in causes.TRY_NEXT
            cause = causes.cause_of(status)
            self.failed(leg, cause, transport=transport, sip_status=status, q850=q850)

    def _on_hung_up(self, leg: LegKey, cause: Cause, status: int, q850: int) -> None:
        if self._limits.release(leg):
            self.hung_up(leg, cause, sip_status=status, q850=q850)


class _Reports:
    """Hands what is reported in the SIP thread to the gateway, in the switch's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gateway: SipGateway) -> None:
        def handed(method: Callable[..., None]) -> Callable[..., None]:
            return lambda *args: _hand_over(loop, method, args)

        self.ringing = handed(gateway._on_ringing)
        self.answered = handed(gateway._on_answered)
        self.failed = handed(gateway._on_failed)
        self.hung_up = handed(gateway._on_hung_up)


def _hand_over(
    loop: asyncio.AbstractEventLoop, method: Callable[..., None], args: tuple[object, ...]
) -> None:
    try:
        loop.call_soon_threadsafe(method, *args)
    except RuntimeError:  # the switch has stopped, and its loop is closed
        logger.debug("Nobody is left to hear of a SIP call.")


def _set(future: asyncio.Future[int], status: int) -> None:
    if not future.done():
        future.set_result(status)


def _stack(address: str, port: int, reports: _Reports) -> Stack:
    from .stack import Stack

    return Stack(address, port, reports)


def _own_address() -> str:
    """The address that packets to the world leave from; loopback where there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
