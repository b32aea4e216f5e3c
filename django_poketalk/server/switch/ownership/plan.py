"""Plans claimed calls: tariffs, routes and buy tariffs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django_poketalk.server.billing.rating import FREE, Tariff
from django_poketalk.server.conf import settings
from django_poketalk.server.models import Call, Gateway, LegABilling, Rate
from django_poketalk.server.routing.routes import gateways_for

from ..gateways.base import CallKey
from ..machine.facts_and_commands import Cause, Plan, Route, Side
from .buy_rates import BuyRates

UNRATED = Tariff(FREE, FREE, 1, 1)


@dataclass(frozen=True, slots=True)
class ClaimedCall:
    """A call that this switch owns. With `refused`, it ends at once without ringing anyone.
    `buy_tariffs` has each gateway's tariff for a leg, if it has a rate for the number.
    """

    key: CallKey
    from_number: str
    to_number: str
    eventurl: str
    plan: Plan
    account: int = 0
    waited: float = 0.0  # seconds in the queue
    refused: Cause | None = None
    buy_tariffs: Mapping[tuple[Side, int], Tariff] = field(default_factory=dict)

    def number(self, side: Side) -> str:
        """The number of a leg (digits)."""
        return self.from_number if side is Side.A else self.to_number


def queue_timeout() -> timedelta:
    """How long a call may be queued."""
    return timedelta(seconds=settings.queue_timeout)


class _Gateways:
    """The active gateways of each provider, read once for all calls claimed together."""

    def __init__(self, kinds: Iterable[str]) -> None:
        # Unordered: `gateways_for` sorts them.
        self._active = Gateway.objects.filter(is_active=True, kind__in=list(kinds)).order_by()
        self._by_provider: dict[int, list[Gateway]] = {}

    def routes(self, provider: int, number: str) -> tuple[Route, ...]:
        if provider not in self._by_provider:
            self._by_provider[provider] = list(self._active.filter(provider=provider))
        return tuple(map(route, gateways_for(number, self._by_provider[provider])))


def routes(kinds: Iterable[str]) -> list[Route]:
    """All active gateways of these kinds."""
    return [route(row) for row in Gateway.objects.filter(is_active=True, kind__in=list(kinds))]


def route(gateway: Gateway) -> Route:
    """The route through a gateway."""
    return Route(gateway.pk, gateway.kind, gateway.ring_timeout, gateway.trunk)


def plan_calls(calls: list[Call], kinds: Iterable[str]) -> list[ClaimedCall]:
    """Plan calls for gateways of `kinds`. The rows are as read before the claim, with `claimed_at`.
    The number of queries does not depend on the number of calls.
    """
    if not calls:
        return []
    gateways = _Gateways(kinds)
    rates = Rate.objects.order_by().in_bulk(
        {pk for call in calls for pk in (call.rate_a_id, call.rate_b_id)}
    )
    routes = {call.pk: _routes(call, gateways) for call in calls}
    buy_rates = BuyRates(
        {route.gateway for sides in routes.values() for side in sides.values() for route in side},
        {number for call in calls for number in (call.from_number, call.to_number)},
    )
    return [_claimed(call, routes[call.pk], rates, buy_rates) for call in calls]


def _routes(call: Call, gateways: _Gateways) -> dict[Side, tuple[Route, ...]]:
    routes = {
        Side.A: gateways.routes(call.provider_id, call.from_number),
        Side.B: tuple(
            _presenting(route, call.presented_number)
            for route in gateways.routes(call.provider_id, call.to_number)
        ),
    }
    return _dialing(routes) if call.to_extension else routes


def _dialing(routes: Mapping[Side, tuple[Route, ...]]) -> dict[Side, tuple[Route, ...]]:
    """The routes for a call with an extension: leg B's gateways can dial it, and leg A's are of the
    same kinds, so that A is not rung for a call that cannot be completed.
    """
    routes_b = tuple(route for route in routes[Side.B] if route.dials_extensions)
    kinds = {route.kind for route in routes_b}
    routes_a = tuple(route for route in routes[Side.A] if route.kind in kinds)
    return {Side.A: routes_a, Side.B: routes_b}


def _presenting(route: Route, number: str) -> Route:
    """The route, with this number as caller ID; as it is for ""."""
    if not number or route.trunk is None:
        return route
    return replace(route, trunk=replace(route.trunk, presented=number))


def _claimed(
    call: Any,
    routes: Mapping[Side, tuple[Route, ...]],
    rates: Mapping[int, Rate],
    buy_rates: BuyRates,
) -> ClaimedCall:
    rate_a, rate_b = rates.get(call.rate_a_id), rates.get(call.rate_b_id)
    plan = Plan(
        webcallid=call.custom,
        tariff_a=rate_a.tariff if rate_a else UNRATED,
        tariff_b=rate_b.tariff if rate_b else UNRATED,
        routes_a=routes[Side.A],
        routes_b=routes[Side.B],
        max_duration=call.duration_cap or call.max_duration,
        hold=call.held,
        hold_slice=settings.hold,
        event_interval=settings.event_interval,
        granted=call.max_duration,
        a_free_until_connected=call.leg_a_billed == LegABilling.CONNECTED,
        to_extension=call.to_extension,
    )
    buy_tariffs = {
        (side, route.gateway): tariff
        for side, number in ((Side.A, call.from_number), (Side.B, call.to_number))
        for route in routes[side]
        if (tariff := buy_rates.tariff(route.gateway, number))
    }
    waited = call.claimed_at - call.created_at
    return ClaimedCall(
        key=CallKey(call.pk, call.fence + 1),
        from_number=call.from_number,
        to_number=call.to_number,
        eventurl=call.eventurl,
        plan=plan,
        account=call.account_id,
        waited=max(0.0, waited.total_seconds()),
        refused=_refusal(call, waited, rated=rate_a is not None and rate_b is not None),
        buy_tariffs=buy_tariffs,
    )


def _refusal(call: Call, waited: timedelta, *, rated: bool) -> Cause | None:
    if call.hangup_requested_at is not None:
        return Cause.HANG_UP_REQUESTED
    if waited > queue_timeout():
        return Cause.QUEUE_TIMEOUT
    return None if rated else Cause.NO_RATE
