"""A gateway's password comes from a variable that is meant for it, and goes to its address only."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.test import Client, override_settings

from django_poketalk.server.models import Gateway
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.ownership import plan
from tests.server.conftest import Customer
from tests.server.staff import page, staff

pytestmark = pytest.mark.django_db
VARIABLE = "POKETALK_GATEWAY_ACME"
FOREIGN = ["SECRET_KEY", "DJANGO_SECRET_KEY", "DATABASE_URL", "HOME", "poketalk_gateway_acme"]


@pytest.fixture
def gateway(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A SIP trunk with a password."""
    for name in (VARIABLE, *FOREIGN):
        monkeypatch.setenv(name, "hunter2")
    facts = {"kind": "sip", "host": "sip.example.com", "username": "acme"}
    Gateway.objects.filter(pk=customer.gateway.pk).update(password_variable=VARIABLE, **facts)
    customer.gateway.refresh_from_db()
    return customer.gateway


def password(gateway: Gateway) -> str:
    assert gateway.trunk is not None
    return gateway.trunk.password


# Which variables


@pytest.mark.parametrize("name", FOREIGN)
def test_no_other_variable_can_be_entered(gateway: Gateway, name: str) -> None:
    gateway.full_clean()
    gateway.password_variable = name

    with pytest.raises(ValidationError) as refused:
        gateway.full_clean()

    assert set(refused.value.message_dict) == {"password_variable"}


@pytest.mark.parametrize("name", FOREIGN)
def test_no_other_variable_of_an_older_row_is_read(
    gateway: Gateway, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert password(gateway) == "hunter2"
    Gateway.objects.update(password_variable=name)
    gateway.refresh_from_db()

    Engine("test", 1, kinds={"sip": SimulatedGateway})._gateway_watch.log_missing_passwords(
        plan.active_gateways(["sip"])
    )

    assert password(gateway) == ""
    [message] = caplog.messages
    assert f"Gateway {gateway.pk} has no password: the environment variable {name!r}" in message
    assert "hunter2" not in caplog.text


def test_a_project_may_list_other_variables_but_no_secret_key(gateway: Gateway) -> None:
    with override_settings(POKETALK_SERVER={"GATEWAY_PASSWORD_VARIABLES": FOREIGN}):
        for name in FOREIGN:
            gateway.password_variable = name
            assert bool(password(gateway)) == ("SECRET_KEY" not in name)


@pytest.mark.parametrize("name", [VARIABLE, *FOREIGN])
def test_the_check_finds_a_variable_that_is_not_read(gateway: Gateway, name: str) -> None:
    Gateway.objects.update(password_variable=name)

    messages = run_checks(tags=["database"], databases=["default"])

    found = [message for message in messages if message.id == "poketalk_server.W005"]
    assert len(found) == (name != VARIABLE)


# Where it goes


@pytest.fixture
def client() -> Client:
    return staff("change_gateway", "view_gateway", "view_serviceprovider")


def form(gateway: Gateway, **changes: Any) -> dict[str, Any]:
    """The form as a browser submits it: the stored variable is not in it."""
    facts = ("name", "kind", "numbers", "priority", "ring_timeout", "username", "caller_id", "host")
    limits = ("strip_digits", "max_channels", "calls_per_second", "progress_timeout", "keep_alive")
    stored = {name: getattr(gateway, name) for name in (*facts, *limits)}
    return stored | {"provider": gateway.provider_id, "is_active": "on"} | changes


def submit(client: Client, gateway: Gateway, **changes: Any) -> Any:
    response = client.post(page(Gateway, "change", gateway.pk), form(gateway, **changes))
    gateway.refresh_from_db()
    return response


def test_the_variable_is_not_in_the_form(client: Client, gateway: Gateway) -> None:
    html = client.get(page(Gateway, "change", gateway.pk)).content.decode()

    assert 'name="password_variable"' in html
    assert VARIABLE not in html


def test_other_changes_keep_the_variable(client: Client, gateway: Gateway) -> None:
    assert submit(client, gateway, priority=5, password_variable="").status_code == 302

    assert (gateway.priority, gateway.password_variable) == (5, VARIABLE)


ASTERISK = {
    "kind": "asterisk",
    "ari_url": "https://evil.example",
    "endpoint": "PJSIP/{number}",
    "application": "poketalk",
}


@pytest.mark.parametrize("change", [{"host": "evil.example"}, {"port": 5099}, ASTERISK])
def test_another_address_requires_the_variable_again(
    client: Client, gateway: Gateway, change: dict[str, Any]
) -> None:
    response = submit(client, gateway, password_variable="", **change)

    assert set(response.context["adminform"].form.errors) == {"password_variable"}
    assert gateway.host == "sip.example.com"
    assert submit(client, gateway, password_variable=VARIABLE, **change).status_code == 302
    assert gateway.password_variable == VARIABLE


def test_another_address_over_simulated_phones_requires_the_variable_again(
    client: Client, gateway: Gateway
) -> None:
    assert submit(client, gateway, kind="simulated").status_code == 302

    back = submit(client, gateway, kind="sip", host="evil.example", password_variable="")

    assert set(back.context["adminform"].form.errors) == {"password_variable"}


@pytest.mark.parametrize("host", ["sip.example.com", "evil.example"])
def test_without_a_user_name_there_is_no_password(
    client: Client, gateway: Gateway, host: str
) -> None:
    removed = submit(client, gateway, username="", host=host, password_variable="")

    assert removed.status_code == 302
    assert gateway.password_variable == ""
