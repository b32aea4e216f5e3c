"""What a switch knows about its gateways: whether they are up, and figures about their legs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from ..gateways.base import BaseGateway
from ..machine.facts_and_commands import Route
from ..machine.hunt import Attempt

HOUR = 3600.0  # seconds
PART = 300.0  # seconds; the last hour moves on by these
NOTHING: Mapping[int, bool] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class GatewayAvailability:
    """Which gateways a switch can use: those of its `kinds`, unless they are `down`. Other switches
    can use those that are `up_elsewhere`.
    """

    kinds: Collection[str]
    down: Collection[int] = ()
    up_elsewhere: Collection[int] = ()

    def is_up(self, *routes: Route) -> bool:
        """Whether this switch can make calls through all of them."""
        return all(each.kind in self.kinds and each.gateway not in self.down for each in routes)

    def is_up_somewhere(self, *routes: Route) -> bool:
        """Whether a single switch might make calls through all of them."""
        return self.is_up(*routes) or all(each.gateway in self.up_elsewhere for each in routes)


@dataclass(frozen=True, slots=True)
class NamedRoute:
    """An active gateway, with its name and its provider's."""

    route: Route
    name: str
    provider: str


@dataclass(slots=True)
class Figures:
    """Legs that have ended. `seconds_to_ring` is a sum over those that `rang`."""

    legs: int = 0
    answered: int = 0
    rang: int = 0
    seconds_to_ring: float = 0.0

    def add(self, attempt: Attempt) -> None:
        """Count a leg."""
        self.legs += 1
        self.answered += attempt.answered is not None
        if attempt.ringing is not None:
            self.rang += 1
            self.seconds_to_ring += attempt.ringing - attempt.initiated

    def __iadd__(self, other: Figures) -> Figures:
        self.legs += other.legs
        self.answered += other.answered
        self.rang += other.rang
        self.seconds_to_ring += other.seconds_to_ring
        return self


class LastHour:
    """The figures of the last hour, to five minutes. `now` is in seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._parts: deque[tuple[float, Figures]] = deque()  # with the times of their ends

    def add(self, attempt: Attempt, now: float) -> None:
        """Count a leg that ends now."""
        if not self._parts or self._parts[-1][0] <= now:
            self._parts.append((now + PART, Figures()))
        self._parts[-1][1].add(attempt)

    def sum(self, now: float) -> Figures:
        """The figures of the legs that ended within the last hour."""
        while self._parts and self._parts[0][0] <= now - HOUR:
            self._parts.popleft()
        total = Figures()
        for _end, part in self._parts:
            total += part
        return total


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway at one moment. `problem` is why it is down, or ""; `since` when that changed last.
    `channels` are in use by this switch's calls.
    """

    gateway: int
    name: str
    provider: str
    since: datetime
    problem: str = ""
    channels: int = 0
    last_hour: Figures = field(default_factory=Figures)
    kind: str = ""

    @property
    def is_up(self) -> bool:
        """Whether calls can be made through it, as far as this switch knows."""
        return not self.problem


class GatewayStates:
    """The active gateways of one switch."""

    def __init__(self, gateways: Mapping[str, BaseGateway]) -> None:
        self._gateways = gateways
        self._active: list[NamedRoute] = []
        self._elsewhere: Mapping[int, bool] = NOTHING
        self._seen: dict[int, tuple[str, datetime]] = {}  # problems, and since when
        self._last_hours: dict[int, LastHour] = {}

    def look(
        self, active: list[NamedRoute], now: datetime, elsewhere: Mapping[int, bool] = NOTHING
    ) -> bool:
        """Look at all active gateways, given whether other switches see them up. Return whether one
        of them is new, up again, or down.
        """
        self._elsewhere = elsewhere
        before, self._active, self._seen = self._seen, active, {}
        for each in active:
            gateway, problem = each.route.gateway, self._problem(each.route) or ""
            last, since = before.get(gateway, (problem, now))
            self._seen[gateway] = (problem, now if bool(last) != bool(problem) else since)
        return self._seen != before

    def availability(self) -> GatewayAvailability:
        """Which gateways can be used now. For a gateway that this switch has not checked yet, the
        state that other switches report counts.
        """
        problems = {each.route.gateway: self._problem(each.route) for each in self._active}
        return GatewayAvailability(
            tuple(self._gateways),
            down={
                gateway
                for gateway, problem in problems.items()
                if problem or (problem is None and self._elsewhere.get(gateway) is False)
            },
            up_elsewhere={gateway for gateway, is_up in self._elsewhere.items() if is_up},
        )

    def _problem(self, route: Route) -> str | None:
        return self._gateways[route.kind].problem(route)

    def count(self, attempts: Iterable[Attempt], now: float) -> None:
        """Count the legs of a call that ends."""
        for attempt in attempts:
            self._last_hours.setdefault(attempt.route.gateway, LastHour()).add(attempt, now)

    def views(self, channels: Counter[int], now: float) -> list[GatewayView]:
        """All active gateways, given the channels that the calls use by gateway."""
        return [
            GatewayView(
                each.route.gateway,
                each.name,
                each.provider,
                since=self._seen[each.route.gateway][1],
                kind=each.route.kind,
                problem=self._seen[each.route.gateway][0],
                channels=channels[each.route.gateway],
                last_hour=self._last_hours.setdefault(each.route.gateway, LastHour()).sum(now),
            )
            for each in self._active
        ]
