"""A service whose gateways lead to simulated phones on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import transaction

from django_poketalk.server.billing import ledger, rating
from django_poketalk.server.models import (
    Account,
    Call,
    Gateway,
    Leg,
    PriceList,
    Rate,
    ServiceProvider,
)
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip import thread
from django_poketalk.server.switch.machine.facts_and_commands import Side
from tests.server.switch.conftest import ended, serve

from .peer import Script, running_peer
from .phones import Phone, Step, running
from .ports import free_port, wait_until_bound

A, B = "4420794600", "4420794601"  # prefixes of the legs' numbers


@dataclass
class SipService:
    """One account, and gateways to the phones of leg A and leg B."""

    provider: ServiceProvider
    account: Account
    rate: Rate
    stack: ExitStack
    port: int

    def phone(self, prefix: str, steps: list[Step], **trunk: Any) -> Phone:
        """Run a phone, and create a gateway to it for numbers with this prefix."""
        phone = self.stack.enter_context(running(steps, free_port()))
        wait_until_bound(phone.port)
        self.gateway(prefix, phone.port, **trunk)
        return phone

    def gateway(self, prefix: str, port: int, **trunk: Any) -> Gateway:
        return Gateway.objects.create(
            provider=self.provider,
            name=f"{prefix} {port}",
            kind="sip",
            prefixes=prefix,
            host="127.0.0.1",
            port=port,
            **trunk,
        )

    def gateway_to_nobody(self, prefix: str) -> None:
        """Create a gateway for numbers with this prefix whose host has no address."""
        gateway = self.gateway(prefix, 5060)
        Gateway.objects.filter(pk=gateway.pk).update(host="sip..example.com")

    def queue(self, *, max_duration: int = 3, **fields: Any) -> Call:
        """Queue an admitted call between the caller's and the callee's phone."""
        call = Call(
            account=self.account,
            provider=self.provider,
            custom="web1",
            from_number=f"{A}01",
            to_number=f"{B}02",
            remote_address="127.0.0.1",
            rate_a=self.rate,
            rate_b=self.rate,
            max_duration=max_duration,
            **fields,
        )
        tariff = self.rate.tariff
        hold = rating.call_cost(tariff, tariff, max_duration, max_duration)
        with transaction.atomic():
            assert ledger.queue(call, ledger.lock(self.account.pk), hold)
        return call

    def place(self, call: Call | None = None, **queued: Any) -> Call:
        """Serve one call until it has ended and its events are sent."""
        call = call or self.queue(**queued)
        self.place_all(call)
        return call

    def place_all(self, *calls: Call) -> None:
        """Serve these calls in parallel until all have ended.

        A is only rung if B has a gateway; a test about leg A alone gets one whose host has no
        address, so that leg B fails at once.
        """
        if not Gateway.objects.filter(prefixes__in=[B, ""]).exists():
            self.gateway_to_nobody(B)
        serve(Engine("test"), until=ended(*calls))
        for call in calls:
            call.refresh_from_db()

    def place_between(self, caller: Script, callee: Script, max_duration: int = 30) -> Call:
        """Serve a call between two peers. Both scripts must finish without an error."""
        with running_peer(caller) as (a_port, a), running_peer(callee) as (b_port, b):
            self.gateway(A, a_port)
            self.gateway(B, b_port)
            call = self.place(max_duration=max_duration)
            a.result(20)
            b.result(20)
        return call

    def run_idle(self, until: Callable[[], bool]) -> None:
        """Run a switch without calls until `until` returns True."""
        serve(Engine("test"), until=until)


@pytest.fixture
def service(transactional_db: None, settings: Any) -> Iterator[SipService]:
    port = free_port()
    settings.POKETALK_SERVER = {
        "EVENT_NETWORKS": ("127.0.0.0/8",),
        "SIP_ADDRESS": "127.0.0.1",
        "SIP_PORT": port,
        "SIP_CHECK_INTERVAL": 0,  # SIPp's phones do not expect OPTIONS in a call
    }
    provider = ServiceProvider.objects.create(name="Carrier")
    price_list = PriceList.objects.create(name="Prices")
    account = Account.objects.create(name="Customer", provider=provider, price_list=price_list)
    ledger.top_up(account, Decimal(1000))
    rate = Rate.objects.create(price_list=price_list, prefix="", price_per_minute=Decimal("0.6"))
    with ExitStack() as stack:
        yield SipService(provider, account, rate, stack, port)


@pytest.fixture
def quick_checks(service: SipService, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check dialogs within seconds, and allow sessions that last as long."""
    from django_poketalk.server.switch.gateways.sip import dialog_checks, session_timer

    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "SIP_CHECK_INTERVAL": 1}
    monkeypatch.setattr(dialog_checks, "FIRST", 0)
    monkeypatch.setattr(dialog_checks, "RESEND", 1)
    monkeypatch.setattr(dialog_checks, "GIVE_UP", 3)
    monkeypatch.setattr(dialog_checks, "REFRESH_AGAIN", 1)
    monkeypatch.setattr(session_timer, "MIN_INTERVAL", 1)


def leg(call: Call, side: Side, attempt: int = 1) -> Leg:
    return call.legs.get(side=side, attempt=attempt)


@pytest.fixture
def stack() -> Iterator[Any]:
    """A SIP endpoint of 127.0.0.1 without calls."""

    def open_stack() -> Any:
        from django_poketalk.server.switch.gateways.sip.stack import Stack

        stack = Stack("127.0.0.1", free_port(), Mock())
        stack.take_from(frozenset({"127.0.0.1"}))
        return stack

    opened_stack = thread.submit(open_stack).result(30)
    yield opened_stack
    thread.submit(opened_stack.close).result(10)


@pytest.fixture
def phone() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)
        yield bound


def server_of(stack: Any) -> Any:
    """The UDP server of a stack."""
    return stack.config["_sip_tm"].l4r.getServer(("127.0.0.1", 0))
