"""A service with a gateway to a fake Asterisk on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Gateway, Rate, ServiceProvider
from django_poketalk.server.switch.gateways.asterisk import connection
from tests.server.switch.conftest import Service

from . import fake_asterisk
from .fake_asterisk import FakeAsterisk


@pytest.fixture
def pbx(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAsterisk]:
    """A fake Asterisk; the switch reconnects to it at once."""
    monkeypatch.setenv("ARI_PASSWORD", fake_asterisk.PASSWORD)
    monkeypatch.setattr(connection, "MIN_PAUSE", 0.05)
    monkeypatch.setattr(connection, "MAX_PAUSE", 0.05)
    with fake_asterisk.asterisk() as pbx:
        yield pbx


@pytest.fixture
def service(transactional_db: None, settings: Any, pbx: FakeAsterisk) -> Service:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ("127.0.0.0/8",)}
    provider = ServiceProvider.objects.create(name="Carrier")
    account = Account.objects.create(name="Customer", provider=provider)
    ledger.top_up(account, Decimal(1000))
    rate = Rate.objects.create(provider=provider, prefix="", price_per_minute=Decimal("0.6"))
    return Service(account, provider, gateway(provider, pbx), rate)


def gateway(provider: ServiceProvider, pbx: FakeAsterisk, **fields: Any) -> Gateway:
    """A gateway row for this Asterisk."""
    row = Gateway(
        **{
            "provider": provider,
            "name": f"Asterisk {Gateway.objects.count()}",
            "kind": "asterisk",
            "ari_url": pbx.url,
            "username": fake_asterisk.USER,
            "password_variable": "ARI_PASSWORD",
            "endpoint": "PJSIP/{number}@trunk",
            **fields,
        }
    )
    row.full_clean()
    row.save()
    return row
