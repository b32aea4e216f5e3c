"""Fixtures of the service's tests: a customer with a carrier, and queued calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from django_poketalk.server.billing import ledger
from django_poketalk.server.database.clock import DatabaseNow, _now_sql
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    Call,
    Gateway,
    PriceList,
    Rate,
    ServiceProvider,
)
from django_poketalk.shared.compiled import COMPILED

from . import money

PATH = "/index.php/api/click2call"
CALLER = "442079460000"
CALLEE = "12025550123"


@dataclass
class Customer:
    """An account that may make calls, with its provider, gateway, price list, rate and key."""

    account: Account
    provider: ServiceProvider
    price_list: PriceList
    gateway: Gateway
    rate: Rate
    key: ApiKey
    secret: str
    client: Client = field(default_factory=Client)

    def form(self, **changes: Any) -> dict[str, Any]:
        """The form of a valid request, with changes. None removes a field."""
        fields = {"api_key": self.secret, "from": CALLER, "to": CALLEE} | {
            name.rstrip("_"): value for name, value in changes.items()
        }
        return {name: value for name, value in fields.items() if value is not None}

    def post(self, **changes: Any) -> HttpResponse:
        """Request a call from the allowed address 127.0.0.1."""
        return self.client.post(PATH, self.form(**changes))

    def request_call(self, **changes: Any) -> str:
        """Request a call, and return the response code."""
        response = self.post(**changes)
        assert response.status_code == 200, response.content
        return response.content.decode("ascii")

    def new_call(self, **facts: Any) -> Call:
        """A call that is not saved."""
        defaults = {
            "account": self.account,
            "provider": self.provider,
            "custom": "web1",
            "from_number": CALLER,
            "to_number": CALLEE,
            "remote_address": "127.0.0.1",
            "rate_a": self.rate,
            "rate_b": self.rate,
            "max_duration": 3600,
        }
        return Call(**(defaults | facts))

    def bad_request(self, **changes: Any) -> str:
        """Send a malformed request, and return the line of the HTTP 400 response."""
        response = self.post(**changes)
        assert response.status_code == 400, response.content
        return response.content.decode()


def make_customer(name: str = "ACME", balance: str = "100.000") -> Customer:
    """A customer with funds of 100.000, a price of 0.60 per minute for each leg, and the allowed
    address 127.0.0.1.
    """
    provider = ServiceProvider.objects.create(name=f"{name}'s carrier")
    gateway = Gateway.objects.create(provider=provider, name="phones", kind=Gateway.Kind.SIMULATED)
    price_list = PriceList.objects.create(name=f"{name}'s prices")
    rate = Rate.objects.create(price_list=price_list, prefix="", price_per_minute=Decimal("0.60"))
    account = Account.objects.create(
        name=name, provider=provider, price_list=price_list, max_calls_per_second=None
    )
    if Decimal(balance):
        ledger.top_up(account, Decimal(balance))
    AllowedAddress.objects.create(account=account, network="127.0.0.1")
    key, secret = ApiKey.issue(account)
    return Customer(account, provider, price_list, gateway, rate, key, secret)


class DatabaseClock:
    """The database's time, as set by a test."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def shift(self, by: timedelta) -> None:
        self.set(self.moment + by)

    def set(self, moment: datetime) -> None:
        self.moment = moment
        _now_sql.cache_clear()
        COMPILED.clear()

    def sql(self, vendor: str) -> str:
        text = f"'{self.moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
        match vendor:
            case "postgresql":
                return f"(TIMESTAMP {text} AT TIME ZONE 'UTC')"
            case "mysql":
                return f"CAST({text} AS DATETIME(6))"
        return text


@pytest.fixture
def database_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseClock]:
    """The database's clock stands still at noon of 1 June 2026 until the test shifts it."""
    clock = DatabaseClock(datetime(2026, 6, 1, 12, tzinfo=UTC))

    def as_sql(now: DatabaseNow, compiler: Any, connection: Any, **extra: Any) -> Any:
        return clock.sql(connection.vendor), []

    for name in ("as_sql", "as_sqlite", "as_mysql", "as_postgresql"):
        monkeypatch.setattr(DatabaseNow, name, as_sql)
    clock.set(clock.moment)
    yield clock
    clock.set(clock.moment)


@pytest.fixture
def customer(db: None) -> Customer:
    return make_customer()


@pytest.fixture
def queued(customer: Customer) -> Callable[..., Call]:
    """A function that queues a call with this hold, without the checks of admission."""

    def make(hold: Decimal = Decimal(0), **facts: Any) -> Call:
        call = customer.new_call(**facts)
        assert money.queue(call, hold)
        return call

    return make
