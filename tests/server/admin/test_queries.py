"""The service's pages take as many queries for many rows as for a few."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    BuyRate,
    Call,
    Channel,
    EventDelivery,
    Gateway,
    GatewayState,
    LedgerEntry,
    Leg,
    PresentedNumber,
    PriceList,
    Rate,
    ServiceProvider,
    Switch,
    TestCall,
)
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.gateway_states import GatewayView

from .. import money
from ..conftest import CALLEE, CALLER, Customer, make_customer
from ..staff import page

MOST = 16  # queries of any page
LISTS = [
    *(Account, AllowedAddress, ApiKey, BlacklistedNumber, BuyRate, Call, Channel, EventDelivery),
    *(Gateway, GatewayState, LedgerEntry, Leg, PresentedNumber, PriceList, Rate, ServiceProvider),
    *(Switch, TestCall),
]
PAGES = [
    *((model, "change") for model in LISTS if model not in (Channel, GatewayState, Switch)),
    (Account, "statement"),
    (Account, "top_up"),
    (Account, "call_records"),
    (LedgerEntry, "reverse"),
]


def add_rows(customer: Customer, call: Call, first: int, count: int) -> None:
    """Rows of each model: of this account, gateway and call, and of a customer of their own."""
    gateway = customer.gateway
    views: dict[int, GatewayView] = {}
    for n in range(first, first + count):
        other = make_customer(f"Customer {n}")
        AllowedAddress.objects.create(account=customer.account, network=f"203.0.113.{n}")
        ApiKey.issue(customer.account)
        ledger.top_up(customer.account, Decimal(1))
        BlacklistedNumber.objects.create(number=f"44207946{n:04}", account=customer.account)
        PresentedNumber.objects.create(account=customer.account, number=f"44207947{n:04}")
        for owner in (customer.price_list, other.price_list):
            Rate.objects.create(price_list=owner, prefix=f"33{n:03}", price_per_minute=1)
        for each in (gateway, other.gateway):
            BuyRate.objects.create(gateway=each, prefix=f"44{n:03}", price_per_minute=1)
            TestCall.objects.create(gateway=each, number=CALLEE)
            views[each.pk] = GatewayView(each.pk, "", "", call.created_at)
        more = Gateway.objects.create(
            provider=customer.provider, name=f"phones {n}", kind="simulated"
        )
        call.legs.create(
            side="A", attempt=n, gateway=more, number=CALLER, price_per_minute=1,
            connect_fee=0, initial_increment=1, subsequent_increment=1,
        )  # fmt: skip
        call.deliveries.create(
            sequence=n, status=1, duration=0, cost=0, sent_at=call.created_at, seconds=0.1
        )
        charged = customer.new_call(custom=f"call {n}")
        assert money.queue(charged, Decimal(1))
        charged.channels.create(side="A", gateway=gateway)
        money.charge(charged, Decimal("0.5"), Decimal("0.5"))
        heartbeat.beat(f"switch {n}", 1, [*views.values()])


@pytest.fixture
def call(customer: Customer) -> Call:
    call = customer.new_call()
    assert money.queue(call, Decimal(1))
    call.channels.create(side="A", gateway=customer.gateway)
    add_rows(customer, call, 1, 2)
    return call


def queries(client: Client, address: str) -> list[str]:
    """The queries of this page."""
    client.get(address)  # what is cached, such as content types
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [each["sql"] for each in captured]


def check(client: Client, address: str, customer: Customer, call: Call) -> None:
    few = queries(client, address)
    add_rows(customer, call, 3, 3)
    many = queries(client, address)

    assert len(many) == len(few), "\n".join(many)
    assert len(many) <= MOST, "\n".join(many)


@pytest.mark.parametrize("model", LISTS)
def test_a_list(admin_client: Client, customer: Customer, call: Call, model: type[Any]) -> None:
    check(admin_client, page(model, "changelist"), customer, call)


@pytest.mark.parametrize(("model", "action"), PAGES)
def test_a_page(
    admin_client: Client, customer: Customer, call: Call, model: type[Any], action: str
) -> None:
    rows = {
        Account: customer.account,
        Call: call,
        Gateway: customer.gateway,
        PriceList: customer.price_list,
        ServiceProvider: customer.provider,
    }
    row = rows.get(model) or model._default_manager.order_by("pk").first()

    check(admin_client, page(model, action, row.pk), customer, call)


@pytest.mark.parametrize("model", [Rate, BuyRate])
def test_the_page_that_imports_decks(
    admin_client: Client, customer: Customer, call: Call, model: type[Any]
) -> None:
    check(admin_client, page(model, "import"), customer, call)


@pytest.mark.parametrize("model", [Rate, BuyRate])
@pytest.mark.parametrize("validity", ["current", "future", "past"])
def test_rates_by_validity(
    admin_client: Client, customer: Customer, call: Call, model: type[Any], validity: str
) -> None:
    check(admin_client, f"{page(model, 'changelist')}?validity={validity}", customer, call)


def test_the_index(admin_client: Client, customer: Customer, call: Call) -> None:
    check(admin_client, "/admin/poketalk_server/", customer, call)
