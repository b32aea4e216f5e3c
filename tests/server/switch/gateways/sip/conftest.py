"""A service whose gateways lead to simulated phones on loopback."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from django_poketalk.server.billing import ledger, rating
from django_poketalk.server.models import Account, Call, Gateway, Leg, Rate, ServiceProvider
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Side
from tests.server.switch.conftest import ended, serve

from .peer import Script, running_peer
from .phones import Phone, Step, running

A, B = "4420794600", "4420794601"  # prefixes of the legs' numbers


MEDIA = 10_000  # what `phones` adds to a SIPp's port for its media


def free_port(count: int = 1) -> int:
    """Return the first of `count` consecutive ports that are free for UDP and TCP, as are SIPp's
    media ports, `MEDIA` higher. All are below the system's range of ephemeral ports.
    """
    for _ in range(100):
        first = random.randrange(10_000, 20_000, 2)
        ports = range(first, first + count)
        if all(is_free(port) and is_free(port + MEDIA) for port in ports):
            return first
    raise AssertionError(f"no {count} consecutive free ports found")


def is_free(port: int) -> bool:
    """Whether UDP and TCP sockets can be bound to this port on loopback."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def wait_until_bound(port: int, transport: str = "udp") -> None:
    """Wait until a socket is bound to this port."""
    entry = f":{port:04X} "
    for _ in range(500):
        with open(f"/proc/net/{transport}") as table:
            if entry in table.read():
                return
        time.sleep(0.02)
    raise AssertionError(f"no socket is bound to port {port}")


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
        """Serve these calls in parallel until all have ended."""
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
    }
    provider = ServiceProvider.objects.create(name="Carrier")
    account = Account.objects.create(name="Customer", provider=provider)
    ledger.top_up(account, Decimal(1000))
    rate = Rate.objects.create(provider=provider, prefix="", price_per_minute=Decimal("0.6"))
    with ExitStack() as stack:
        yield SipService(provider, account, rate, stack, port)


def leg(call: Call, side: Side, attempt: int = 1) -> Leg:
    return call.legs.get(side=side, attempt=attempt)
