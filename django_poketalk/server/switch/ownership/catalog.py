"""The gateways and rates that calls are planned with."""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.db.models import Exists, OuterRef

from django_poketalk.server.models import BuyRate, Gateway, Rate
from django_poketalk.server.routing.routes import gateways_for
from django_poketalk.shared.compiled import CompiledQuery

from ..machine.facts_and_commands import Route

KEPT = 1.0  # seconds

# Unordered: `gateways_for` sorts them.
GATEWAYS = CompiledQuery(
    lambda provider: Gateway.objects.filter(is_active=True, provider=provider).order_by()
)
BUYING = CompiledQuery(
    lambda provider: (
        Gateway.objects.filter(Exists(BuyRate.objects.filter(gateway=OuterRef("pk"))))
        .filter(provider=provider)
        .order_by()
        .values_list("pk")
    )
)
RATES = CompiledQuery(lambda pks: Rate.objects.filter(pk__in=pks).order_by())


class Catalog:
    """What one switch has read of gateways and rates. Everything is read again after `KEPT`
    seconds, so changes apply to calls that are claimed a second later. Not thread-safe.
    """

    def __init__(self) -> None:
        self._until = float("-inf")
        self._gateways: dict[int, list[Gateway]] = {}  # by provider
        self._routes: dict[int, Route] = {}  # by gateway
        self._buying: set[int] = set()
        self._rates: dict[int, Rate] = {}

    def forget_old(self) -> None:
        """Forget what is too old. Between two calls of this, nothing changes."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + KEPT
            for each in (self._gateways, self._routes, self._buying, self._rates):
                each.clear()

    def routes(self, provider: int, number: str) -> tuple[Route, ...]:
        """The routes through the provider's active gateways for this number, by preference."""
        if provider not in self._gateways:
            gateways, buying = GATEWAYS.instances(provider), BUYING.rows(provider)
            self._routes |= {gateway.pk: route(gateway) for gateway in gateways}
            self._buying |= {pk for (pk,) in buying}
            self._gateways[provider] = gateways
        return tuple(
            self._routes[gateway.pk] for gateway in gateways_for(number, self._gateways[provider])
        )

    def with_buy_rates(self, routes: Iterable[Route]) -> set[int]:
        """The gateways of these routes that have buy rates."""
        return {route.gateway for route in routes} & self._buying

    def rates(self, pks: Iterable[int]) -> dict[int, Rate]:
        """The rates with these primary keys that exist."""
        wanted = set(pks)
        for rate in RATES.instances(sorted(wanted - self._rates.keys())):
            self._rates[rate.pk] = rate
        return {pk: self._rates[pk] for pk in wanted & self._rates.keys()}


def route(gateway: Gateway) -> Route:
    """The route through a gateway."""
    trunk, channels = gateway.trunk, gateway.max_channels
    return Route(gateway.pk, gateway.kind, gateway.ring_timeout, trunk, channels)
