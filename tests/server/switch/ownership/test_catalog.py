"""A switch keeps the gateways and rates that it has read for a second, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_poketalk.server.models import BuyRate, Call, Gateway, Rate
from django_poketalk.server.switch.machine.facts_and_commands import Side
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import catalog as catalog_module
from django_poketalk.server.switch.ownership import claims
from django_poketalk.server.switch.ownership.catalog import KEPT, Catalog
from django_poketalk.server.switch.ownership.plan import ClaimedCall

from ..conftest import Service

pytestmark = pytest.mark.django_db(transaction=True)

D = Decimal
Claim = Callable[[float], ClaimedCall]


@pytest.fixture
def claim(service: Service, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """Queue a call, and claim it so many seconds after the start, with one catalog."""
    catalog, seconds = Catalog(), 0.0
    monkeypatch.setattr(catalog_module, "time", SimpleNamespace(monotonic=lambda: seconds))

    def claim_at(moment: float) -> ClaimedCall:
        nonlocal seconds
        service.queue()
        seconds = moment
        [claimed] = claims.claim(
            "one", 1, GatewayAvailability(["simulated"]), catalog=catalog
        ).calls
        return claimed

    return claim_at


def test_changes_apply_to_calls_that_are_claimed_a_second_later(
    service: Service, claim: Claim
) -> None:
    first = claim(0)
    Rate.objects.update(price_per_minute=D("7"))
    Gateway.objects.update(ring_timeout=7)
    BuyRate.objects.create(gateway=service.gateway, price_per_minute=D("3"))

    kept = claim(KEPT - 0.01)
    assert kept.plan.tariff_b == first.plan.tariff_b
    assert kept.plan.routes_b == first.plan.routes_b
    assert not kept.buy_tariffs

    changed = claim(KEPT)
    assert changed.plan.tariff_b.price_per_minute == 7
    assert [route.ring_timeout for route in changed.plan.routes_b] == [7]
    assert changed.buy_tariffs[Side.B, service.gateway.pk].price_per_minute == 3


def test_a_gateway_that_is_switched_off_gets_no_calls_a_second_later(claim: Claim) -> None:
    assert claim(0).channels
    Gateway.objects.update(is_active=False)
    assert claim(KEPT).channels is None


def test_a_rate_that_was_not_read_before_is_read_at_once(service: Service, claim: Claim) -> None:
    claim(0)
    service.rate = Rate.objects.create(
        price_list=service.rate.price_list, prefix="44", price_per_minute=D("5")
    )
    assert claim(0.1).plan.tariff_a.price_per_minute == 5


def test_another_call_of_the_same_second_reads_neither(claim: Claim) -> None:
    claim(0)
    with CaptureQueriesContext(connection) as statements:
        claim(0.1)
    tables = [model._meta.db_table for model in (Gateway, Rate, BuyRate)]
    executed = " ".join(each["sql"] for each in statements)
    assert Call._meta.db_table in executed
    assert not [table for table in tables if f'"{table}"' in executed.replace("`", '"')]
