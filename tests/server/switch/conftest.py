"""For all tests of the switch: a service with simulated phones, and engines that serve it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from django_poketalk.server.billing import ledger, rating
from django_poketalk.server.models import Account, Call, Gateway, PriceList, Rate, ServiceProvider
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway

from .watched_gateway import WatchedGateway

SPEED = 40.0  # call seconds per real second; if it were faster, a stall could use up a hold
PATIENCE = 30.0  # real seconds; normally, everything takes a fraction of one

# Fictional numbers (Ofcom's drama range); the last two digits choose the phone.
ANSWERS = "442079460199"


def number(ending: str) -> str:
    return f"4420794601{ending}"


@dataclass
class Service:
    """One account whose calls cost 0.01 per second and leg."""

    account: Account
    provider: ServiceProvider
    gateway: Gateway
    rate: Rate

    def queue(
        self,
        a: str = "99",
        b: str = "99",
        *,
        max_duration: int = 3600,
        hold: int = 120,
        **fields: Any,
    ) -> Call:
        """An admitted call between phones with these last digits, with a hold for `hold` s."""
        call = Call(
            **{
                "account": self.account,
                "provider": self.provider,
                "custom": "web1",
                "from_number": number(a),
                "to_number": number(b),
                "remote_address": "127.0.0.1",
                "rate_a": self.rate,
                "rate_b": self.rate,
                "max_duration": max_duration,
                **fields,
            }
        )
        held = min(hold, max_duration)
        tariff = self.rate.tariff
        with transaction.atomic():
            account = ledger.lock(self.account.pk)
            assert ledger.queue(call, account, rating.call_cost(tariff, tariff, held, held))
        call.refresh_from_db()
        return call


def engine(kind: type[SimulatedGateway] = SimulatedGateway, name: str = "test") -> Engine:
    return Engine(name, SPEED, {"simulated": kind})


@pytest.fixture
def watched() -> type[WatchedGateway]:
    return type("Watched", (WatchedGateway,), {"dialed": [], "hung_up": [], "ended_by_phone": []})


@pytest.fixture
def service(transactional_db: None, settings: Any) -> Service:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ("127.0.0.0/8",)}
    provider = ServiceProvider.objects.create(name="Carrier")
    price_list = PriceList.objects.create(name="Prices")
    account = Account.objects.create(name="Customer", provider=provider, price_list=price_list)
    ledger.top_up(account, Decimal(1000))
    gateway = Gateway.objects.create(provider=provider, name="Phones", kind="simulated")
    rate = Rate.objects.create(price_list=price_list, prefix="", price_per_minute=Decimal("0.6"))
    return Service(account, provider, gateway, rate)


def serve(
    *engines: Engine,
    until: Callable[[], bool],
    during: Callable[[], Awaitable[None]] | None = None,
    patience: float = PATIENCE,
) -> None:
    """Run engines until `until`, which may query the database, returns True. Then stop them."""
    asyncio.run(serving(*engines, until=until, during=during, patience=patience))


async def serving(
    *engines: Engine,
    until: Callable[[], bool],
    during: Callable[[], Awaitable[None]] | None = None,
    patience: float = PATIENCE,
) -> None:
    running = [asyncio.create_task(engine.run()) for engine in engines]
    try:
        if during is not None:
            await during()
        await eventually(until, patience)
        assert not any(task.done() for task in running)
    finally:
        for engine in engines:
            engine.stop()
        await asyncio.gather(*running)


async def eventually(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until `holds`, which may query the database, returns True."""
    async with asyncio.timeout(patience):
        while not await asyncio.to_thread(closing, holds):
            await asyncio.sleep(0.02)


def closing(function: Callable[[], Any]) -> Any:
    """Call a function, then close its database connection. For use in a thread."""
    from django.db import connection

    try:
        return function()
    finally:
        connection.close()


def ended(*calls: Call) -> Callable[[], bool]:
    """Returns whether these calls (or all) have ended and sent their events."""
    rows = Call.objects.filter(pk__in=[call.pk for call in calls]) if calls else Call.objects.all()
    return lambda: not rows.exclude(state=Call.State.ENDED).exists()
