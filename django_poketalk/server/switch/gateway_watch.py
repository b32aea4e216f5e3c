"""Which gateways a switch watches, and what it sees of them."""

from __future__ import annotations

from collections.abc import Mapping

from django_poketalk.shared.logs import get_logger

from .clock import DatabaseTime
from .database_threads import DatabaseThreads
from .gateways.base import BaseGateway
from .monitoring.gateway_states import GatewayStates, NamedRoute
from .ownership import plan

logger = get_logger(__name__)


class GatewayWatch:
    """Reads the active gateways, has each kind watch its own, and notes their states."""

    def __init__(
        self,
        identity: str,
        threads: DatabaseThreads,
        gateways: Mapping[str, BaseGateway],
        states: GatewayStates,
        database_time: DatabaseTime,
    ) -> None:
        self._identity = identity
        self._threads = threads
        self._gateways = gateways  # by kind
        self._states = states
        self._time = database_time
        self._missing_passwords: set[int] = set()  # gateways that have been logged

    async def look(self) -> bool:
        """Look once. Return whether a gateway is new, up again, or down."""
        active, elsewhere = await self._threads.run(
            plan.watched_gateways, tuple(self._gateways), self._identity
        )
        self.log_missing_passwords(active)
        for kind, gateway in self._gateways.items():
            gateway.watch([each.route for each in active if each.route.kind == kind])
        return self._states.look(active, self._time.now(), elsewhere)

    def log_missing_passwords(self, active: list[NamedRoute]) -> None:
        """Log each gateway without its password, once until it has one."""
        missing = {
            each.route.gateway: trunk.password_problem
            for each in active
            if (trunk := each.route.trunk) and trunk.password_problem
        }
        for gateway in missing.keys() - self._missing_passwords:
            logger.error(
                "Gateway %d has no password: %s. If it requires one, it will refuse calls.",
                gateway,
                missing[gateway],
            )
        self._missing_passwords = set(missing)
