"""The gateway for SIP: passes work to the SIP thread, and receives facts from it.

It enforces the trunks' limits and monitors whether they are up. It does not import sippy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from django_poketalk.server.conf import settings
from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    Failed,
    LegFact,
    Ringing,
    Route,
)
from django_poketalk.shared.logs import get_logger

from ..base import CallKey, LegKey, Report
from ..trunks import TrunkGateway, unsafe
from . import causes, health, port, thread
from .addresses import Address, TrunkAddresses
from .health import TrunkHealth
from .identity import Invitation

if TYPE_CHECKING:
    from .stack import Stack

logger = get_logger(__name__)

CLOSE_TIMEOUT = 5.0  # seconds for the BYEs and CANCELs of a switch that stops


class SipGateway(TrunkGateway):
    """Real phones through SIP trunks."""

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._opening: asyncio.Task[Stack] | None = None
        self._port_problem = ""
        self._health: dict[int, TrunkHealth] = {}
        self._watching: set[asyncio.Task[None]] = set()
        self._addresses = TrunkAddresses()
        self._hosts: frozenset[str] = frozenset()  # from which messages are taken
        self._invitations: dict[LegKey, Invitation] = {}  # of phones that ring

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT)
        if (stack := self._stack()) is not None:
            await asyncio.wrap_future(thread.submit(stack.hang_up_all))
            deadline = time.monotonic() + CLOSE_TIMEOUT
            while time.monotonic() < deadline and stack.is_waiting:
                await asyncio.sleep(0.05)
            await asyncio.wrap_future(thread.submit(stack.close))

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring a phone, if the route's trunk is up and can take another call soon."""
        trunk = route.trunk
        if not isinstance(trunk, SipTrunk):
            raise ValueError(f"Gateway {route.gateway} is not a SIP trunk.")
        invitation = Invitation.new(
            trunk.dial_string(number),
            trunk.caller_id_for(caller, number),
            port.own_address(),
            settings.sip_port,
        )
        if problem := self.problem(route):
            self._refuse(leg, route, f"it is down: {problem}")
            return

        def originate() -> None:
            self._start(self._originate(leg, invitation, trunk, route.ring_timeout))

        self._pace(leg, route, trunk, originate)
        if leg in self._limits:
            self._invitations[leg] = invitation

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        if (stack := self._stack()) is not None:
            thread.call_soon(stack.bridge, leg_a, leg_b)

    def dial_extension(self, leg_b: LegKey, digits: str) -> None:
        if (stack := self._stack()) is not None:
            thread.call_soon(stack.dial_extension, leg_b, digits)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self._limits.release(leg)
        self._invitations.pop(leg, None)
        if (stack := self._stack()) is not None:
            thread.call_soon(stack.hang_up, leg, cause)

    def dialog_of(self, leg: LegKey) -> str:
        invitation = self._invitations.get(leg)
        return "" if invitation is None else str(invitation)

    def end_dialog(self, dialog: str, route: Route) -> None:
        if isinstance(route.trunk, SipTrunk) and not unsafe(route):
            self._start(self._end_dialog(dialog, route.trunk))

    def problem(self, route: Route) -> str | None:
        """Without its port, all trunks are down. Else a trunk without probes never counts as down:
        no probe could report it up again. But it is passed over for as long as its Retry-After
        says.
        """
        if problem := self._port_problem or unsafe(route):
            return problem
        trunk, trunk_health = route.trunk, self._health_of(route)
        if trunk_health.is_passed_over(self.clock.now()):
            return "SIP 503 with Retry-After"
        is_probed = isinstance(trunk, SipTrunk) and trunk.keep_alive
        return trunk_health.problem if is_probed else None

    def take_fact(self, call: CallKey, fact: LegFact) -> None:
        leg = LegKey(call, fact.side, fact.attempt)
        if not isinstance(fact, Ringing):
            self._invitations.pop(leg, None)
        if isinstance(fact, Failed) and fact.retry_after:
            route = self._limits.route_of(leg)
            if route is not None:
                self._health_of(route).pass_over(fact.retry_after, self.clock.now())
        super().take_fact(call, fact)

    @property
    def delay(self) -> float:
        stack = self._stack()
        return 0.0 if stack is None else stack.delay

    def watch(self, routes: Iterable[Route]) -> None:
        """Open the port if there are trunks, probe each trunk whose next probe is due, and take
        messages from all of them.
        """
        routes, now = list(routes), self.clock.now()
        if (stack := self._stack()) is not None:
            stack.measure_delay()
        elif routes:
            self._start(self._try_port())
        trunks = []
        for route in routes:
            trunk = route.trunk
            if not isinstance(trunk, SipTrunk) or unsafe(route):
                continue
            trunks.append(trunk)
            if self._health_of(route).probe_due(now, trunk):
                self._start_watching(self._probe(route, trunk))
        self._start_watching(self._take_from_all(trunks))

    def _start_watching(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _take_from_all(self, trunks: list[SipTrunk]) -> None:
        self._take_from(await self._addresses.hosts(trunks))

    def _take_from(self, hosts: frozenset[str]) -> None:
        if hosts != self._hosts:
            self._hosts = hosts
            if (stack := self._stack()) is not None:
                thread.call_soon(stack.take_from, hosts)

    async def _try_port(self) -> None:
        problem = ""
        try:
            await self._open_stack()
        except OSError as error:
            problem = error.strerror or str(error)
        if problem and problem != self._port_problem:
            logger.error("No calls over SIP: %s", problem)
        self._port_problem = problem

    async def _originate(
        self, leg: LegKey, invitation: Invitation, trunk: SipTrunk, ring_timeout: int
    ) -> None:
        try:
            stack = await self._open_stack()
            addresses = await self._addresses.of(trunk)
        except OSError as error:
            logger.error("Cannot originate a call through %r: %s", trunk, error)
            self.take_fact(leg.call, causes.failed(leg, 503, 0, transport=True))
            return
        if leg in self._limits:  # otherwise it has been hung up meanwhile
            thread.call_soon(stack.originate, leg, invitation, trunk, addresses, ring_timeout)

    async def _end_dialog(self, dialog: str, trunk: SipTrunk) -> None:
        stack = await self._open_stack()
        invitation = Invitation.parse(dialog)
        if invitation is None:
            thread.call_soon(stack.end_dialog, dialog, trunk)
        else:
            addresses = await self._addresses.of(trunk)
            thread.call_soon(stack.cancel, invitation, trunk, addresses)

    async def _probe(self, route: Route, trunk: SipTrunk) -> None:
        """Probe a trunk, once more at once if it fails."""
        trunk_health = self._health_of(route)
        for _ in range(health.DOWN_AFTER):
            problem = await self._problem_of(trunk)
            if trunk_health.record(problem):
                state = f"down: {problem}" if trunk_health.problem else "up"
                logger.warning("Gateway %d is %s.", route.gateway, state)
            if not problem:
                return

    async def _problem_of(self, trunk: SipTrunk) -> str:
        """Why a probe of this trunk fails at all its addresses, or ""."""
        try:
            stack = await self._open_stack()
            addresses = await self._addresses.of(trunk)
        except OSError as error:
            return str(error)
        self._take_from(self._hosts | {host for host, _ in addresses})
        timeout = health.probe_timeout(trunk)
        probes = [self._probe_address(stack, address, timeout) for address in addresses]
        problems = await asyncio.gather(*probes)
        return "" if "" in problems else problems[0]

    async def _probe_address(self, stack: Stack, address: Address, timeout: float) -> str:
        response: asyncio.Future[int] = self._loop.create_future()

        def set_status(status: int) -> None:
            if not response.done():
                response.set_result(status)

        def on_response(status: int) -> None:
            self._loop.call_soon_threadsafe(set_status, status)

        thread.call_soon(stack.probe, address, on_response)
        try:
            async with asyncio.timeout(timeout):
                return health.problem_of(await response)
        except TimeoutError:
            return health.problem_of(health.NO_RESPONSE)

    def _health_of(self, route: Route) -> TrunkHealth:
        return self._health.setdefault(route.gateway, TrunkHealth())

    def _stack(self) -> Stack | None:
        opening = self._opening
        if opening is None or not opening.done() or opening.exception():
            return None
        return opening.result()

    async def _open_stack(self) -> Stack:
        """The stack, opened as soon as there is an active trunk: phones may still answer calls of a
        switch that is gone. Raises `OSError` if its port is not available.
        """
        if self._opening is None or (self._opening.done() and self._opening.exception()):
            self._opening = asyncio.create_task(self._new_stack())
        return await asyncio.shield(self._opening)

    async def _new_stack(self) -> Stack:
        port.check_port()
        address, number = port.own_address(), settings.sip_port
        check_interval = settings.sip_check_interval

        def new_stack() -> Stack:
            from .stack import Stack

            return Stack(address, number, self._take_fact_from_thread, check_interval)

        stack = await asyncio.wrap_future(thread.submit(new_stack))
        thread.call_soon(stack.take_from, self._hosts)  # as they are now; later changes follow
        logger.info("SIP on %s:%d.", address, number)
        return stack

    def _take_fact_from_thread(self, call: CallKey, fact: LegFact) -> None:
        try:
            self._loop.call_soon_threadsafe(self.take_fact, call, fact)
        except RuntimeError:  # the switch has stopped, and its loop is closed
            logger.debug("Ignored a fact about a SIP call: the switch has stopped.")
