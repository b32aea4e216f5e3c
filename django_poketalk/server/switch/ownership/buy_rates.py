"""The buy rates of gateways: their charges for the legs that they carry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import Q

from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.models import BuyRate
from django_poketalk.server.models.rates import PrefixRateQuerySet
from django_poketalk.server.routing import routes
from django_poketalk.shared.compiled import CompiledQuery


def _rates(
    day: Any, gateways: Collection[Any], prefixes: Collection[Any]
) -> PrefixRateQuerySet[BuyRate]:
    # Not `gateway__in`, which takes no expressions.
    of_gateways = Q(*(("gateway", gateway) for gateway in gateways), _connector=Q.OR)
    found: PrefixRateQuerySet[BuyRate] = BuyRate.objects.valid_on(day)
    return found.filter(of_gateways, prefix__in=prefixes).order_by()


RATES = CompiledQuery(_rates)


class BuyRates:
    """The buy rates of gateways for numbers (digits) on a day, read in one query."""

    def __init__(self, day: date, gateways: Collection[int], numbers: Collection[str]) -> None:
        self._rates: dict[int, dict[tuple[bool, str], BuyRate]] = defaultdict(dict)
        prefixes = {prefix for number in numbers for prefix in routes.prefixes_of(number)}
        value = connection.ops.adapt_datefield_value(day)
        for rate in RATES.instances(value, sorted(gateways), sorted(prefixes)):
            self._rates[rate.gateway_id][rate.is_internal, rate.prefix] = rate

    def tariff(self, gateway: int, number: str) -> Tariff | None:
        """By the longest prefix; None if the gateway has no rate for the number."""
        rates = self._rates.get(gateway, {})
        prefix = routes.longest_of_kind(number, rates)
        return None if prefix is None else rates[prefix].tariff
