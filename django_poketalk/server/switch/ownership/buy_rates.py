"""The buy rates of gateways: their charges for the legs that they carry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.models import BuyRate
from django_poketalk.server.routing import routes


class BuyRates:
    """The buy rates of gateways for numbers (digits), read in one query."""

    def __init__(self, gateways: Collection[int], numbers: Collection[str]) -> None:
        self._rates: dict[int, dict[tuple[bool, str], BuyRate]] = defaultdict(dict)
        prefixes = {prefix for number in numbers for prefix in routes.prefixes_of(number)}
        rates = BuyRate.objects.filter(gateway__in=gateways, prefix__in=prefixes).order_by()
        for rate in rates:
            self._rates[rate.gateway_id][rate.is_internal, rate.prefix] = rate

    def tariff(self, gateway: int, number: str) -> Tariff | None:
        """By the longest prefix; None if the gateway has no rate for the number."""
        rates = self._rates.get(gateway, {})
        prefix = routes.longest_of_kind(number, rates)
        return None if prefix is None else rates[prefix].tariff
