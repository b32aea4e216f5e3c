"""A gateway's page contains the fields of its kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.test import Client

from django_poketalk.server.models import Gateway
from django_poketalk.server.routing.trunk import AsteriskTrunk, SipTrunk
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.gateway_states import Figures, GatewayView

from ..conftest import Customer
from ..staff import page, staff

pytestmark = pytest.mark.django_db

PERMISSIONS = ("add_gateway", "change_gateway", "view_gateway", "view_serviceprovider")
SIP_ONLY = {"host", "port", "from_domain", "late_offer", "keep_alive"}
ASTERISK_ONLY = {"ari_url", "application", "endpoint"}
REAL = {
    "username",
    "password_variable",
    "caller_id",
    "strip_digits",
    "calls_per_second",
    "progress_timeout",
    "failover_codes",
}

URL = "https://pbx.example.com:8089"


@pytest.fixture
def client() -> Client:
    return staff(*PERMISSIONS)


def kind_fields(response: Any) -> set[str]:
    """The fields of the form that depend on the kind."""
    assert response.status_code == 200
    html = response.content.decode()
    fields = SIP_ONLY | ASTERISK_ONLY | REAL
    return {name for name in fields if f'name="{name}"' in html}


def basics(gateway: Gateway, kind: str) -> dict[str, Any]:
    """The form data that every kind requires."""
    return {
        "provider": gateway.provider_id,
        "name": gateway.name,
        "kind": kind,
        "is_active": "on",
        "priority": 10,
        "ring_timeout": 30,
        "max_channels": 0,
    }


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("simulated", set()), ("sip", SIP_ONLY | REAL), ("asterisk", ASTERISK_ONLY | REAL)],
)
def test_each_kind_has_its_own_fields(
    client: Client, customer: Customer, kind: str, fields: set[str]
) -> None:
    Gateway.objects.update(kind=kind)

    assert kind_fields(client.get(page(Gateway, "change", customer.gateway.pk))) == fields


def test_a_new_gateway_has_the_fields_of_all_kinds(client: Client, customer: Customer) -> None:
    assert kind_fields(client.get(page(Gateway, "add"))) == SIP_ONLY | ASTERISK_ONLY | REAL


def test_changing_the_kind_requires_the_fields_of_the_new_kind(
    client: Client, customer: Customer
) -> None:
    address = page(Gateway, "change", customer.gateway.pk)
    form = basics(customer.gateway, "asterisk")

    response = client.post(address, form)

    assert kind_fields(response) == ASTERISK_ONLY | REAL
    assert set(response.context["adminform"].form.errors) == {"ari_url", "endpoint", "username"}
    form |= {"ari_url": URL, "endpoint": "PJSIP/{number}@trunk", "username": "poketalk"}
    assert client.post(address, form).status_code == 302
    customer.gateway.refresh_from_db()
    assert customer.gateway.trunk == AsteriskTrunk(
        url=URL, application="poketalk", endpoint="PJSIP/{number}@trunk", username="poketalk"
    )


@pytest.mark.parametrize(
    ("host", "valid"),
    [
        ("sip.example.com", True),
        ("sip.example.com.", True),
        ("pbx_2", True),
        ("192.0.2.7", True),
        ("sip.example.com:5060", False),
        ("sip:trunk@example.com", False),
        ("sip..example.com", False),
        ("2001:db8::7", False),
        ("-sip.example.com", False),
        ("sip.exämple.com", False),
    ],
)
def test_a_host_is_a_name_or_an_ipv4_address(customer: Customer, host: str, valid: bool) -> None:
    customer.gateway.kind, customer.gateway.host = "sip", host

    if valid:
        customer.gateway.full_clean()
    else:
        with pytest.raises(ValidationError) as refused:
            customer.gateway.full_clean()
        assert set(refused.value.message_dict) == {"host"}


def test_an_emptied_field_becomes_empty(client: Client, customer: Customer) -> None:
    fields = {"ari_url": URL, "endpoint": "PJSIP/{number}@trunk", "username": "poketalk"}
    Gateway.objects.update(kind="asterisk", add_prefix="+", **fields)
    form = basics(customer.gateway, "asterisk") | fields | {"add_prefix": ""}

    assert client.post(page(Gateway, "change", customer.gateway.pk), form).status_code == 302

    customer.gateway.refresh_from_db()
    assert customer.gateway.add_prefix == ""


def test_rejects_an_unknown_kind(client: Client, customer: Customer) -> None:
    form = basics(customer.gateway, "pigeon")

    response = client.post(page(Gateway, "change", customer.gateway.pk), form)

    assert "kind" in response.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("http://pbx.example.com:8088", ["poketalk_server.W004"]),
        ("http://10.0.0.5:8088", ["poketalk_server.W004"]),
        ("https://pbx.example.com:8089", []),
        ("http://127.0.0.1:8088", []),
        ("http://[::1]:8088", []),
        ("http://localhost:8088", []),
    ],
)
def test_the_deployment_check_warns_of_an_unencrypted_password(
    customer: Customer, url: str, ids: list[str]
) -> None:
    Gateway.objects.update(kind="asterisk", ari_url=url)

    def found(**options: Any) -> list[str | None]:
        messages = run_checks(tags=["database"], **options)
        return [message.id for message in messages if str(message.id).startswith("poketalk")]

    assert found(databases=["default"], include_deployment_checks=True) == ids
    assert found(databases=["default"]) == []
    assert found(databases=[], include_deployment_checks=True) == []
    Gateway.objects.update(is_active=False)
    assert found(databases=["default"], include_deployment_checks=True) == []


def test_the_list_and_the_page_display_the_state_that_the_switches_see(
    client: Client, customer: Customer
) -> None:
    gateway = customer.gateway
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    figures = Figures(legs=6, answered=4, rang=3, seconds_to_ring=8.0)
    down = GatewayView(gateway.pk, gateway.name, "ACME", since, "SIP 503", 3, figures)

    unknown = client.get(page(Gateway, "changelist")).content.decode()
    heartbeat.beat("office", 0, [down])
    listed = client.get(page(Gateway, "changelist")).content.decode()
    html = client.get(page(Gateway, "change", gateway.pk)).content.decode()

    assert 'data-state="none">unknown' in unknown
    assert 'data-state="bad">down' in listed
    assert "67 %" in listed
    assert "2.7 s" in listed
    assert "since 03/01/2026 12:00:00, at office: SIP 503" in html


@pytest.mark.parametrize(
    ("codes", "valid"),
    [
        ("", True),
        ("503", True),
        ("404 480 503 600", True),
        ("399", False),
        ("700", False),
        ("503,504", False),
        ("500-504", False),
        ("503  504", False),
        ("503 ", False),
        ("٥٠٣", False),
    ],
)
def test_failover_codes_are_statuses_of_failures(
    customer: Customer, codes: str, valid: bool
) -> None:
    customer.gateway.failover_codes = codes

    if valid:
        customer.gateway.full_clean()
    else:
        with pytest.raises(ValidationError) as caught:
            customer.gateway.full_clean()
        assert set(caught.value.message_dict) == {"failover_codes"}


def test_a_gateway_has_its_own_or_the_default_failover_codes(customer: Customer) -> None:
    gateway = customer.gateway
    gateway.kind, gateway.host = "sip", "sip.example.com"
    trunk = gateway.trunk
    assert isinstance(trunk, SipTrunk)
    assert trunk.failover_codes == {402, 403, 408, 421, 500, 501, 502, 503, 504}

    gateway.failover_codes = "404 503"
    trunk = gateway.trunk
    assert isinstance(trunk, SipTrunk)
    assert trunk.failover_codes == {404, 503}


def test_one_channel_is_saved_with_a_warning(client: Client, customer: Customer) -> None:
    address = page(Gateway, "change", customer.gateway.pk)
    form = {**basics(customer.gateway, "simulated"), "numbers": "external"}

    one = client.post(address, {**form, "max_channels": 1}, follow=True).content.decode()
    two = client.post(address, {**form, "max_channels": 2}, follow=True).content.decode()

    assert "A call has two legs" in one
    assert "A call has two legs" not in two
    assert Gateway.objects.get().max_channels == 2
