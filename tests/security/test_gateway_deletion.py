"""A gateway with live calls is not deleted: another switch could not hang up their phones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import ProtectedError
from django.test import Client

from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import Call, Gateway, GatewayState, Leg, ServiceProvider
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.gateway_states import GatewayView
from tests.server.conftest import Customer
from tests.server.staff import page, staff

pytestmark = pytest.mark.django_db
DELETIONS: list[Callable[[Gateway], Any]] = [
    lambda gateway: gateway.delete(),
    lambda gateway: Gateway.objects.filter(pk=gateway.pk).delete(),
    lambda gateway: Gateway.objects.all().delete(),
]
TEXT = "A gateway with live calls cannot be deleted."


@pytest.fixture
def leg(customer: Customer) -> Leg:
    """A leg that rings."""
    call = customer.new_call(state=Call.State.ACTIVE)
    call.save()
    tariff = {"price_per_minute": 1, "connect_fee": 0, "initial_increment": 1}
    leg = Leg(call=call, side="A", gateway=customer.gateway, number="12025550123", **tariff)
    leg.subsequent_increment = 1
    leg.save()
    return leg


def end(leg: Leg) -> None:
    Leg.objects.update(ended_at=leg.initiated_at)
    Call.objects.update(state=Call.State.ENDED)


@pytest.mark.parametrize("delete", DELETIONS)
def test_a_live_leg_protects_its_gateway(
    leg: Leg, customer: Customer, delete: Callable[[Gateway], Any]
) -> None:
    with pytest.raises(ProtectedError):
        delete(customer.gateway)
    assert Gateway.objects.exists()

    end(leg)
    delete(customer.gateway)

    leg.refresh_from_db()
    assert (Gateway.objects.exists(), leg.gateway_id) == (False, None)


def test_a_leg_of_an_ended_call_does_not_protect(leg: Leg, customer: Customer) -> None:
    Call.objects.update(state=Call.State.ENDED)  # its switch died before it wrote the leg

    customer.gateway.delete()

    assert not Gateway.objects.exists()


@pytest.fixture
def client() -> Client:
    return staff("view_gateway", "change_gateway", "delete_gateway", "delete_buyrate")


def test_the_admin_says_what_to_do(client: Client, leg: Leg, customer: Customer) -> None:
    address = page(Gateway, "delete", customer.gateway.pk)

    for response in (client.get(address), client.post(address, {"post": "yes"})):
        assert response.status_code == 200
        assert TEXT in response.content.decode()
    assert Gateway.objects.exists()
    end(leg)
    assert TEXT not in client.get(address).content.decode()
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not Gateway.objects.exists()


def test_the_action_says_what_to_do(client: Client, leg: Leg, customer: Customer) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [customer.gateway.pk]}

    for form in (chosen, chosen | {"post": "yes"}):
        response = client.post(page(Gateway, "changelist"), form)
        assert TEXT in response.content.decode()

    assert Gateway.objects.exists()


def test_the_form_of_a_provider_refuses_it(leg: Leg, customer: Customer) -> None:
    provider, gateway = customer.provider, customer.gateway
    client = staff(
        "view_serviceprovider", "change_serviceprovider", "view_gateway", "delete_gateway"
    )
    form = {
        "name": provider.name,
        "leg_a_billed": "answer",
        "gateways-TOTAL_FORMS": 1,
        "gateways-INITIAL_FORMS": 1,
        "gateways-0-id": gateway.pk,
        "gateways-0-provider": provider.pk,
        "gateways-0-DELETE": "on",
    }

    response = client.post(page(ServiceProvider, "change", provider.pk), form)

    assert response.status_code == 200
    assert Gateway.objects.exists()


def test_a_gateway_that_switches_have_watched_can_be_deleted(
    admin_client: Client, customer: Customer
) -> None:
    view = GatewayView(customer.gateway.pk, "phones", "ACME", database_now())
    heartbeat.beat("office", 0, [view])
    assert GatewayState.objects.exists()

    address = page(Gateway, "delete", customer.gateway.pk)

    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Gateway.objects.exists()
