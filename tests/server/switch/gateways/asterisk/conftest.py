"""A service whose gateway leads to a small Asterisk on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Gateway, Rate, ServiceProvider
from django_poketalk.server.switch.gateways.asterisk import connection
from tests.server.switch.conftest import Service

from . import ari
from .ari import Ari


@pytest.fixture
def pbx(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ari]:
    """An Asterisk that lets us in, and is connected to again at once."""
    monkeypatch.setenv("ARI_PASSWORD", ari.PASSWORD)
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(connection, "LONGEST_PAUSE", 0.05)
    with ari.asterisk() as pbx:
        yield pbx


@pytest.fixture
def service(transactional_db: None, settings: Any, pbx: Ari) -> Service:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ("127.0.0.0/8",)}
    provider = ServiceProvider.objects.create(name="Carrier")
    account = Account.objects.create(name="Customer", provider=provider)
    ledger.top_up(account, Decimal(1000))
    rate = Rate.objects.create(provider=provider, prefix="", price_per_minute=Decimal("0.6"))
    return Service(account, provider, gateway(provider, pbx), rate)


def gateway(provider: ServiceProvider, pbx: Ari, **fields: Any) -> Gateway:
    """A way to the phones of this Asterisk."""
    row = Gateway(
        **{
            "provider": provider,
            "name": f"Asterisk {Gateway.objects.count()}",
            "kind": "asterisk",
            "ari_url": pbx.url,
            "username": ari.USER,
            "password_variable": "ARI_PASSWORD",
            "endpoint": "PJSIP/{number}@trunk",
            **fields,
        }
    )
    row.full_clean()
    row.save()
    return row
