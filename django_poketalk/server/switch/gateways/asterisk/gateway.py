"""The gateway for Asterisk: tracks which leg is on which Asterisk, and applies trunks' limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from django_poketalk.protocol.numbers import is_internal
from django_poketalk.server.routing.trunk import ANONYMOUS, AsteriskTrunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Route, Side
from django_poketalk.shared.logs import get_logger

from ..base import LegKey, Report
from ..trunks import TrunkGateway, unsafe
from .channel_ids import channel_id
from .connection import Address
from .stasis import StasisApplication

logger = get_logger(__name__)

ANONYMOUS_CALLER_ID = '"Anonymous" <anonymous>'


class AsteriskGateway(TrunkGateway):
    """Real phones through Asterisk. Gateways to the same Asterisk share one WebSocket."""

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._applications: dict[Address, StasisApplication] = {}

    async def close(self) -> None:
        for address in list(self._applications):
            self._disconnect(address)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring a phone, if its trunk can take a call soon. Leg B must use leg A's Asterisk."""
        trunk = _trunk(route)
        endpoint, caller_id = trunk.endpoint_of(number), _caller_id(trunk, caller, number)
        if problem := unsafe(route):
            self._refuse(leg, route, problem)
            return
        application = self._connect(_address(trunk))
        if leg.side is Side.B and not application.has_leg_a(leg.call):
            self._refuse(leg, route, "leg A is on another Asterisk")
            return
        originate = partial(
            application.originate,
            leg,
            endpoint,
            caller_id,
            route.ring_timeout,
            progress_timeout=trunk.progress_timeout,
            failover_codes=trunk.failover_codes,
            early_media=trunk.early_media,
        )
        self._pace(leg, route, trunk, originate)

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        if (application := self._application_of(leg_b)) is not None:
            application.bridge(leg_a, leg_b)

    def dial_extension(self, leg_b: LegKey, digits: str) -> None:
        if (application := self._application_of(leg_b)) is not None:
            application.dial_extension(leg_b, digits)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self._limits.release(leg)
        if (application := self._application_of(leg)) is not None:
            application.hang_up(leg, cause)

    def dialog_of(self, leg: LegKey) -> str:
        route = self._limits.route_of(leg)
        if route is None:
            return ""
        return channel_id(self._connect(_address(_trunk(route))).name, leg)

    def end_dialog(self, dialog: str, route: Route) -> None:
        """Hang up a leg that another switch, now gone, has originated, and the rest of its call."""
        try:
            trunk = _trunk(route)
            if not unsafe(route):
                self._connect(_address(trunk)).hang_up_call_of(dialog)
        except ValueError as error:  # the gateway has changed its kind since then
            logger.warning("Gateway %d cannot hang up a leg: %s", route.gateway, error)

    def problem(self, route: Route) -> str | None:
        application = self._applications.get(_address(_trunk(route)))
        connection_problem = None if application is None else application.connection.problem
        return unsafe(route) or connection_problem

    def watch(self, routes: Iterable[Route]) -> None:
        """Connect to the Asterisk of each route, retry hang-ups, and disconnect from all others."""
        addresses = {_address(_trunk(route)) for route in routes if not unsafe(route)}
        for address in addresses:
            self._connect(address)
        for address, application in list(self._applications.items()):
            if application.connection.is_up:
                application.retry_hang_ups()
            if address not in addresses and application.is_idle:
                self._disconnect(address)

    def _connect(self, address: Address) -> StasisApplication:
        if address not in self._applications:
            self._applications[address] = StasisApplication(address, self.take_fact)
        return self._applications[address]

    def _application_of(self, leg: LegKey) -> StasisApplication | None:
        return next((each for each in self._applications.values() if each.has_leg(leg)), None)

    def _disconnect(self, address: Address) -> None:
        self._start(self._applications.pop(address).close())


def _trunk(route: Route) -> AsteriskTrunk:
    if not isinstance(route.trunk, AsteriskTrunk):
        raise ValueError(f"Gateway {route.gateway} is not an Asterisk gateway.")
    return route.trunk


def _caller_id(trunk: AsteriskTrunk, caller: str, number: str) -> str:
    """The caller ID in Asterisk's notation.

    Without a name, Asterisk adds that of leg A's channel. The name of an extension, which may be
    its number, means nothing outside its PBX, so the displayed number replaces it.
    """
    caller_id = trunk.caller_id_for(caller, number)
    if caller_id == ANONYMOUS:
        return ANONYMOUS_CALLER_ID
    return f'"{caller_id}" <{caller_id}>' if is_internal(caller) else caller_id


def _address(trunk: AsteriskTrunk) -> Address:
    return Address(trunk.url, trunk.username, trunk.password, trunk.application)
