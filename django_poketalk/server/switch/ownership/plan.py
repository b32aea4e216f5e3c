"""Plans claimed calls: tariffs, routes and buy tariffs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS

from django_poketalk.server.billing.ledger import day_of
from django_poketalk.server.billing.rating import FREE, Tariff
from django_poketalk.server.conf import settings
from django_poketalk.server.database.clock import DatabaseNow
from django_poketalk.server.models import Gateway, GatewayState, LegABilling, Rate
from django_poketalk.server.routing.routes import pairs as pairs_of
from django_poketalk.shared.compiled import CompiledQuery

from ..gateways.base import CallKey
from ..machine.facts_and_commands import Cause, Plan, Route, RoutePair, Side
from ..monitoring.gateway_states import GatewayAvailability, NamedRoute
from .buy_rates import BuyRates
from .catalog import Catalog, route
from .channels import FreeChannels, never_free

UNRATED = Tariff(FREE, FREE, 1, 1)


class QueuedCall(NamedTuple):
    """The fields of a queued call for its plan. `claimed_at` is the database's time."""

    pk: int
    turn: int
    fence: int
    account_id: int
    provider_id: int
    custom: str
    from_number: str
    to_number: str
    to_extension: str
    presented_number: str
    eventurl: str
    rate_a_id: int | None
    rate_b_id: int | None
    leg_a_billed: str
    held: Decimal
    max_duration: int
    duration_cap: int
    hangup_requested_at: datetime | None
    created_at: datetime
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimedCall:
    """A call that this switch owns. With `refused`, it ends at once without ringing anyone;
    otherwise, it has `channels` on these gateways for leg A and leg B. `buy_tariffs` has each
    gateway's tariff for a leg, if it has a rate for the number. `destinations` are those of the
    rates.
    """

    key: CallKey
    from_number: str
    to_number: str
    eventurl: str
    plan: Plan
    account: int = 0
    waited: float = 0.0  # seconds in the queue
    refused: Cause | None = None
    channels: RoutePair | None = None
    buy_tariffs: Mapping[tuple[Side, int], Tariff] = field(default_factory=dict)
    destinations: Mapping[Side, str] = field(default_factory=dict)

    def number(self, side: Side) -> str:
        """The number of a leg (digits)."""
        return self.from_number if side is Side.A else self.to_number


def queue_timeout() -> timedelta:
    """How long a call may be queued."""
    return timedelta(seconds=settings.queue_timeout)


def _waited(call: QueuedCall) -> timedelta:
    """How long the call has been queued."""
    return call.claimed_at - call.created_at


COLUMNS = [field.attname for field in Gateway._meta.concrete_fields]
ACTIVE = CompiledQuery(
    lambda: Gateway.objects.filter(is_active=True).values_list(*COLUMNS, "provider__name")
)
UP_ELSEWHERE = CompiledQuery(
    lambda switch: (
        GatewayState.objects.current(DatabaseNow())
        .exclude(switch__name=switch)
        .order_by()
        .values_list("gateway", "is_up")
    )
)


def up_elsewhere(switch: str) -> dict[int, bool]:
    """Whether other live switches see the gateways up, by primary key."""
    found: dict[int, bool] = {}
    for gateway, is_up in UP_ELSEWHERE.rows(switch):
        found[gateway] = found.get(gateway, False) or is_up
    return found


def active_gateways(kinds: Iterable[str]) -> list[NamedRoute]:
    """All active gateways of these kinds."""
    named = [
        (Gateway.from_db(DEFAULT_DB_ALIAS, COLUMNS, row), name) for *row, name in ACTIVE.rows()
    ]
    return [NamedRoute(route(row), row.name, name) for row, name in named if row.kind in kinds]


def watched_gateways(kinds: Iterable[str], switch: str) -> tuple[list[NamedRoute], dict[int, bool]]:
    """All active gateways of these kinds, and whether switches other than this one see them up."""
    return active_gateways(kinds), up_elsewhere(switch)


def plan_calls(
    calls: list[QueuedCall],
    availability: GatewayAvailability,
    limit: int,
    catalog: Catalog | None = None,
) -> list[ClaimedCall]:
    """Plan up to `limit` of these calls, in this order, without those that have to wait for a
    gateway or a channel. The rows are as read before the claim. The number of
    queries does not depend on the number of calls, but for one for each day on which they began.
    """
    if not calls:
        return []
    catalog = catalog or Catalog()
    catalog.forget_old()
    rates = catalog.rates(
        pk for call in calls for pk in (call.rate_a_id, call.rate_b_id) if pk is not None
    )
    pairs = {call.pk: _pairs(call, catalog) for call in calls}
    free = FreeChannels(route for each in pairs.values() for pair in each for route in pair)
    chosen: dict[QueuedCall, RoutePair | Cause] = {}
    for call in calls:
        if len(chosen) == limit:
            break
        rated = call.rate_a_id in rates and call.rate_b_id in rates
        choice = _choose(pairs[call.pk], call, availability, free, rated=rated)
        if choice is not None:
            chosen[call] = choice
    routes = {
        call.pk: _routes(pairs[call.pk], choice, availability) for call, choice in chosen.items()
    }
    days = {call.pk: day_of(call.created_at) for call in chosen}
    used = (route for sides in routes.values() for side in sides.values() for route in side)
    buying = catalog.with_buy_rates(used)
    numbers = {number for call in chosen for number in (call.from_number, call.to_number)}
    buy_rates = {day: BuyRates(day, buying, numbers) for day in set(days.values())}
    return [
        _claimed(call, choice, routes[call.pk], rates, buy_rates[days[call.pk]])
        for call, choice in chosen.items()
    ]


def _pairs(call: QueuedCall, catalog: Catalog) -> list[RoutePair]:
    """The gateways for both legs, in the order in which they are preferred."""
    routes_b = [
        _presenting(route, call.presented_number)
        for route in catalog.routes(call.provider_id, call.to_number)
        if route.dials_extensions or not call.to_extension
    ]
    return pairs_of(catalog.routes(call.provider_id, call.from_number), routes_b)


def _choose(
    pairs: list[RoutePair],
    call: QueuedCall,
    availability: GatewayAvailability,
    free: FreeChannels,
    *,
    rated: bool,
) -> RoutePair | Cause | None:
    """The first pair of gateways that are up and have free channels, which are taken; the cause of
    failure if there can be none; or None if the call has to wait for one.
    """
    is_overdue = _waited(call) > queue_timeout()
    if call.hangup_requested_at is not None:
        return Cause.HANG_UP_REQUESTED
    if not rated:
        return Cause.QUEUE_TIMEOUT if is_overdue else Cause.NO_RATE
    possible = [pair for pair in pairs if not never_free(pair)]
    if pairs and not possible:
        return Cause.NO_CHANNEL
    up = [pair for pair in possible if availability.is_up(*pair)]
    if not up:
        may_wait = any(availability.is_up_somewhere(*pair) for pair in possible) and not is_overdue
        return None if may_wait else Cause.NO_GATEWAY
    pair = next((pair for pair in up if free.has(pair)), None)
    if is_overdue:
        return Cause.NO_CHANNEL if pair is None else Cause.QUEUE_TIMEOUT
    if pair is not None:
        free.take(pair)
    return pair


def _routes(
    pairs: list[RoutePair], chosen: RoutePair | Cause, availability: GatewayAvailability
) -> dict[Side, tuple[Route, ...]]:
    """The routes of each leg, with the chosen ones first; none for a call that fails."""
    if isinstance(chosen, Cause):
        return {Side.A: (), Side.B: ()}
    usable = [pair for pair in pairs if availability.is_up(*pair) and not never_free(pair)]
    routes_a, routes_b = zip(chosen, *usable, strict=True)
    return {Side.A: tuple(dict.fromkeys(routes_a)), Side.B: tuple(dict.fromkeys(routes_b))}


def _presenting(route: Route, number: str) -> Route:
    """The route, with this number as caller ID; as it is for ""."""
    if not number or route.trunk is None:
        return route
    return replace(route, trunk=replace(route.trunk, presented=number))


def _claimed(
    call: QueuedCall,
    chosen: RoutePair | Cause,
    routes: Mapping[Side, tuple[Route, ...]],
    rates: Mapping[int, Rate],
    buy_rates: BuyRates,
) -> ClaimedCall:
    rate_a, rate_b = rates.get(call.rate_a_id or 0), rates.get(call.rate_b_id or 0)
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
    return ClaimedCall(
        key=CallKey(call.pk, call.fence + 1),
        from_number=call.from_number,
        to_number=call.to_number,
        eventurl=call.eventurl,
        plan=plan,
        account=call.account_id,
        waited=max(0.0, _waited(call).total_seconds()),
        refused=chosen if isinstance(chosen, Cause) else None,
        channels=None if isinstance(chosen, Cause) else chosen,
        buy_tariffs=buy_tariffs,
        destinations={
            side: rate.destination for side, rate in ((Side.A, rate_a), (Side.B, rate_b)) if rate
        },
    )
