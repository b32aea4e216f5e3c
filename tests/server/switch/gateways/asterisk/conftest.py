"""A service with a gateway to an Asterisk on loopback: the fake one, and the real one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import (
    Account,
    Call,
    Gateway,
    LedgerEntry,
    Leg,
    PriceList,
    Rate,
    ServiceProvider,
)
from django_poketalk.server.switch.gateways.asterisk import connection
from tests.server.switch.conftest import Service

from . import fake_asterisk, real_asterisk
from .fake_asterisk import FakeAsterisk
from .fake_switch import Pbx
from .real_asterisk import RealAsterisk

REAL = pytest.param(
    "real",
    marks=[
        pytest.mark.programs,
        pytest.mark.needs("asterisk")
        if real_asterisk.FOLDER.is_dir()
        else pytest.mark.skip(f"there is no real Asterisk in {real_asterisk.FOLDER}"),
    ],
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fake(reason): `pbx` is the fake Asterisk only")
    config.addinivalue_line("markers", "real(reason): `pbx` is the real Asterisk only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the fake and with the real Asterisk, unless it needs the fake one."""
    if (
        "pbx" in metafunc.fixturenames
        and metafunc.module.__name__.rpartition(".")[2] != "test_guide"
    ):
        marks = {mark.name for mark in metafunc.definition.iter_markers()}
        kinds = ["fake"] if "fake" in marks else [REAL] if "real" in marks else ["fake", REAL]
        metafunc.parametrize("pbx", kinds, indirect=True)


@pytest.fixture(scope="session")
def real() -> Iterator[RealAsterisk]:
    """The real Asterisk of this session."""
    with real_asterisk.asterisk() as pbx:
        yield pbx


@pytest.fixture
def pbx(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pbx]:
    """An Asterisk; the switch reconnects to it at once. After the test, it has no channel."""
    monkeypatch.setattr(connection, "MIN_PAUSE", 0.05)
    monkeypatch.setattr(connection, "MAX_PAUSE", 0.05)
    if request.param == "real":
        real: RealAsterisk = request.getfixturevalue("real")
        monkeypatch.setenv("POKETALK_GATEWAY_ARI", real.password)
        yield real
        assert real.end_test() == []
    else:
        monkeypatch.setenv("POKETALK_GATEWAY_ARI", FakeAsterisk.password)
        with fake_asterisk.asterisk() as fake:
            yield fake


@pytest.fixture
def service(transactional_db: None, settings: Any, pbx: Pbx) -> Iterator[Service]:
    """A service whose rows are settled after the test: no call is live, and the ledger is exact."""
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ("127.0.0.0/8",)}
    provider = ServiceProvider.objects.create(name="Carrier")
    price_list = PriceList.objects.create(name="Prices")
    account = Account.objects.create(name="Customer", provider=provider, price_list=price_list)
    ledger.top_up(account, Decimal(1000))
    rate = Rate.objects.create(price_list=price_list, prefix="", price_per_minute=Decimal("0.6"))
    yield Service(account, provider, gateway(provider, pbx), rate)
    assert not Call.objects.exclude(state=Call.State.ENDED).exists()
    assert not Leg.objects.filter(ended_at=None).exists()
    account.refresh_from_db()
    charged = sum((call.cost for call in Call.objects.all()), Decimal(0))
    assert (account.balance, account.held) == (Decimal(1000) - charged, 0)
    charges = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.CHARGE)
    assert -sum((entry.amount for entry in charges), Decimal(0)) == charged


def gateway(provider: ServiceProvider, pbx: Pbx, **fields: Any) -> Gateway:
    """A gateway row for this Asterisk."""
    row = Gateway(
        **{
            "provider": provider,
            "name": f"Asterisk {Gateway.objects.count()}",
            "kind": "asterisk",
            "ari_url": pbx.url,
            "username": pbx.user,
            "password_variable": "POKETALK_GATEWAY_ARI",
            "endpoint": "PJSIP/{number}@trunk",
            **fields,
        }
    )
    row.full_clean()
    row.save()
    return row
