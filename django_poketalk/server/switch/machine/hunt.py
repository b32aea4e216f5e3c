"""Which gateways a call tries for each leg, and on which it has channels."""

from __future__ import annotations

from dataclasses import dataclass

from django_poketalk.server.routing.routes import pairs

from .facts_and_commands import Cause, Plan, Route, RoutePair, Side


@dataclass(slots=True)
class Attempt:
    """One attempt to ring one leg. Times are the machine's; None for what has not happened.

    `dialog` is the data that another switch needs to hang it up, "" if it is not known yet.
    """

    side: Side
    number: int
    route: Route
    initiated: float
    ringing: float | None = None
    answered: float | None = None
    ended: float | None = None
    cause: Cause | None = None
    sip_status: int = 0
    q850: int = 0
    dialog: str = ""

    @property
    def rings_until(self) -> float:
        """When the attempt ends as not answered."""
        return self.initiated + self.route.ring_timeout


class Hunt:
    """The gateways of one call, in pairs for leg A and leg B whose legs can be bridged.

    The call has channels on the gateways of the pair `reserved`, if any.
    """

    def __init__(self, plan: Plan) -> None:
        self._pairs = pairs(plan.routes_a, plan.routes_b)
        self._tried: dict[Side, list[Route]] = {side: [] for side in Side}
        self.reserved: RoutePair | None = self._pairs[0] if self._pairs else None

    def remaining(self, side: Side) -> tuple[RoutePair, ...]:
        """The pairs with a gateway that this leg can still try: for leg A any, for leg B those with
        leg A's present gateway. The pair on which the call has channels comes first.
        """
        route_a = self.reserved[0] if self.reserved else None
        found = [
            (a, b)
            for a, b in self._pairs
            if (a if side is Side.A else b) not in self._tried[side]
            and (side is Side.A or a == route_a)
        ]
        return tuple(sorted(found, key=lambda pair: pair != self.reserved))

    def has_channels(self, pair: RoutePair) -> bool:
        """Whether the call has the channels for this pair, or using it takes and frees none."""
        routes = {*pair, *(self.reserved or ())}
        return pair == self.reserved or not any(route.max_channels for route in routes)

    def begin(self, side: Side, pair: RoutePair, now: float) -> Attempt:
        """Try the leg's gateway of this pair, for which the call has channels."""
        self.reserved = pair
        route = pair[0] if side is Side.A else pair[1]
        self._tried[side].append(route)
        return Attempt(side, len(self._tried[side]), route, now)
