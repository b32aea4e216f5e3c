"""No text of a row can end or extend a header: the model refuses it, and no switch sends it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import models

from django_poketalk.server.models import Account, Call, Gateway, PresentedNumber
from django_poketalk.server.routing.trunk import AsteriskTrunk, SipTrunk, Trunk
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.asterisk.gateway import AsteriskGateway
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.sip.gateway import SipGateway
from django_poketalk.server.switch.gateways.trunks import TrunkGateway
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed, LegFact, Side
from django_poketalk.server.switch.ownership import catalog
from tests.server.conftest import Customer

pytestmark = pytest.mark.django_db
HOSTILE = ["\r\nX-Evil: 1", "\n", "\r", ";tag=1", ">", "<sip:1@evil>", '"', "\0", "\\", " x", "é"]
SETTINGS: dict[str, dict[str, Any]] = {
    "sip": {
        "host": "sip.example.com",
        "username": "acme",
        "from_domain": "acme.example",
        "caller_id": "fixed",
        "caller_number": "442079460000",
        "add_prefix": "+",
        "keep_alive": 5,
        "failover_codes": "503",
        "dtmf": "info",
    },
    "asterisk": {
        "ari_url": "https://pbx.example.com",
        "username": "acme",
        "endpoint": "PJSIP/{number}@trunk",
        "application": "poketalk",
        "caller_id": "fixed",
        "caller_number": "442079460000",
        "add_prefix": "+",
    },
}
NOT_SENT = {"name"}  # to whom a call is sent: only staff read it
# Texts that decide what is sent, but are not sent: an odd value fails or is never reached
INTERPRETED = {"prefixes", "kind", "numbers", "caller_id", "password_variable"}
TEXTS = [
    field.name
    for field in Gateway._meta.concrete_fields
    if isinstance(field, models.CharField | models.TextField)
]
SENT = [
    (kind, name)
    for kind, facts in SETTINGS.items()
    for name in TEXTS
    if name in facts and name not in {*INTERPRETED, "failover_codes"}
]
HARMLESS = {"_try_port", "_take_from_all"}  # contain nothing of the row


def row(customer: Customer, kind: str, **changes: Any) -> Gateway:
    """A gateway's row, written without validation."""
    Gateway.objects.update(kind=kind, **(SETTINGS[kind] | changes))
    customer.gateway.refresh_from_db()
    return customer.gateway


def test_each_text_of_a_gateway_is_tested() -> None:
    tested = {*SETTINGS["sip"], *SETTINGS["asterisk"], *INTERPRETED, *NOT_SENT}
    assert set(TEXTS) <= tested


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", [name for name in TEXTS if name not in NOT_SENT])
def test_the_model_refuses_it(customer: Customer, kind: str, name: str, hostile: str) -> None:
    gateway = row(customer, kind)
    gateway.full_clean()
    setattr(gateway, name, f"{getattr(gateway, name)}{hostile}"[-50:])

    with pytest.raises(ValidationError) as refused:
        gateway.full_clean()

    assert name in refused.value.message_dict


def send(gateway: Gateway) -> tuple[list[LegFact], list[str]]:
    """Use this row for a leg, for the BYE of another switch's leg, and for probes, without a
    network. Returns the reported facts, and what would have been sent.
    """
    kinds: dict[str, type[TrunkGateway]] = {"sip": SipGateway, "asterisk": AsteriskGateway}
    leg = LegKey(CallKey(1, 1), Side.A, 1)
    route = catalog.route(gateway)
    facts: list[LegFact] = []
    sent: list[str] = []

    def start(work: Any) -> None:
        sent.append(work.__name__)
        work.close()

    def connect(_address: object) -> mock.Mock:
        sent.append("connect")
        return mock.Mock()

    async def script() -> None:
        switch = kinds[gateway.kind](Clock(1), lambda _call, fact: facts.append(fact))
        await switch.open()
        with (
            mock.patch.object(switch, "_start", start),
            mock.patch.object(switch, "_start_watching", start, create=True),
            mock.patch.object(switch, "_connect", connect, create=True),
            contextlib.suppress(ValueError),  # the leg counts as failed
        ):
            switch.end_dialog("{}", route)
            switch.watch([route])
            switch.originate(leg, "12025550123", "442079460001", route)
        await asyncio.sleep(0)

    asyncio.run(script())
    return facts, [each for each in sent if each not in HARMLESS]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [("sip", ["_end_dialog", "_probe", "_originate"]), ("asterisk", ["connect"] * 3)],
)
def test_a_safe_row_is_sent(customer: Customer, kind: str, sent: list[str]) -> None:
    assert send(row(customer, kind)) == ([], sent)


@pytest.mark.parametrize(("kind", "name"), SENT)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_switch_sends_nothing_of_it(
    customer: Customer, kind: str, name: str, hostile: str
) -> None:
    gateway = row(customer, kind)
    setattr(gateway, name, f"{getattr(gateway, name)}{hostile}")

    facts, sent = send(gateway)

    assert sent == []
    assert facts in ([], [Failed(Side.A, 1, Cause.GATEWAY_DOWN, transport=True)])


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("number", ["12025550123", "1001", ""])
def test_a_hostile_number_is_neither_dialed_nor_displayed(number: str, hostile: str) -> None:
    common: dict[str, Any] = {"is_internal": True}
    sip = SipTrunk(host="sip.example.com", **common)
    asterisk = AsteriskTrunk(url="", application="", endpoint="PJSIP/{number}", **common)
    trunks: list[Trunk] = [sip, asterisk]
    for trunk in trunks:
        with pytest.raises(ValueError, match="not a number to dial"):
            trunk.dial_string(number + hostile)
        with pytest.raises(ValueError, match="not a number to display"):
            trunk.caller_id_for(number + hostile)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_presented_number_is_digits(customer: Customer, hostile: str) -> None:
    entry = PresentedNumber(account=customer.account, number=f"442079460000{hostile}")

    try:
        entry.save()
    except ValidationError:
        return
    entry.refresh_from_db()
    assert entry.number == "442079460000"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_accounts_internal_number_is_digits(customer: Customer, hostile: str) -> None:
    Account.objects.update(internal_numbers=True)
    Gateway.objects.update(numbers="both")

    customer.bad_request(from_=f"1001{hostile}")

    assert not Call.objects.exists()
