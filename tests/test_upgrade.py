"""A database of version 0.1 that has data is upgraded to the newest migrations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)  # all migrations, of both halves, on MariaDB as well

# Runs in a process of its own, on a database of its own.
UPGRADE = """
import json
import os
from datetime import timedelta
from decimal import Decimal

import django
django.setup()

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

if connection.vendor != "sqlite":  # which has a file for each process
    connection.settings_dict["TEST"]["NAME"] = f"poketalk_upgrade_{os.getpid()}"
name = connection.creation._create_test_db(verbosity=0, autoclobber=True)
connection.close()
connection.settings_dict["NAME"] = name
try:
    executor = MigrationExecutor(connection)
    first = [("poketalk", "0001_initial"), ("poketalk_server", "0001_initial")]
    executor.migrate([node for node in executor.loader.graph.leaf_nodes()
                      if not node[0].startswith("poketalk")] + first)
    old = executor.loader.project_state(executor.loader.graph.leaf_nodes("auth") + first).apps
    model = old.get_model
    now = timezone.now()

    user = model("auth.User").objects.create(username="anna")
    model("poketalk.CallerNumber").objects.create(user=user, number="+442079460001")
    call = model("poketalk.CallRequest").objects.create(
        user=user, from_number="+442079460001", to_number="+442079460002", placement="accepted",
        status=2, duration=61, cost=Decimal("0.123"), max_duration=600, max_cost=5,
        expires_at=now + timedelta(minutes=1))
    model("poketalk.CallEvent").objects.create(
        call=call, status=2, duration=61, answer=200)
    model("poketalk.BlacklistedNumber").objects.create(number="+442079460003", reason="asked")

    provider = model("poketalk_server.ServiceProvider").objects.create(name="Carrier")
    gateway = model("poketalk_server.Gateway").objects.create(
        provider=provider, name="Trunk", kind="sip", host="sip.example.com", prefixes="44",
        password_variable="TRUNK_PASSWORD")
    rate = model("poketalk_server.Rate").objects.create(
        provider=provider, prefix="44", price_per_minute=Decimal("0.12"))
    account = model("poketalk_server.Account").objects.create(
        name="Acme", balance=Decimal("9.877"))
    model("poketalk_server.ApiKey").objects.create(
        account=account, label="old", prefix="abcdefgh", digest="0" * 64)
    for currency in ("EUR", "USD", "USD"):
        model("poketalk_server.Account").objects.create(
            name=f"Customer {model('poketalk_server.Account').objects.count()}",
            provider=provider, currency=currency)
    model("poketalk_server.Rate").objects.create(
        provider=provider, prefix="4479", price_per_minute=Decimal("0.34"), connect_fee=1)
    served = model("poketalk_server.Call").objects.create(
        account=account, provider=provider, custom="c1", from_number="442079460001",
        to_number="442079460002", remote_address="192.0.2.1", max_duration=600,
        duration_cap=600, rate_a=rate, rate_b=rate, state="ended", duration=61,
        cost=Decimal("0.123"), ended_at=now, charged_at=now)
    model("poketalk_server.Leg").objects.create(
        call=served, side="A", number="442079460001", gateway=gateway, price_per_minute=1,
        connect_fee=0, initial_increment=1, subsequent_increment=1)

    call_command("migrate", verbosity=0)
    call_command("check", databases=["default"])

    from django.contrib.auth.models import User
    from django_poketalk.models import BlacklistedNumber, CallRequest, Phone
    from django_poketalk.server.billing.price_lookup import rates_for
    from django_poketalk.server.models import Account, ApiKey, Call, Gateway, Rate
    kept = CallRequest.objects.get()
    again = Call.objects.get()
    prices = [
        [(str(rate.price_per_minute), str(rate.connect_fee), rate.price_list.currency)
         for rate in rates_for(account, now.date(), "442079460001", "447912345678")]
        for account in Account.objects.exclude(provider=None).order_by("pk")
    ]
    rates = Rate.objects.count()
    call_command("migrate", "poketalk_server", "0021", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT prefix, price_per_minute FROM poketalk_server_rate ORDER BY prefix")
        back = [(prefix, float(price)) for prefix, price in cursor.fetchall()]
    call_command("migrate", verbosity=0)
    print(json.dumps({
        "prices": prices, "rates": rates, "back": back,
        "phone": [(each.number, each.is_default, each.user.username)
                  for each in Phone.objects.all()],
        "call": [kept.to_number, kept.duration, str(kept.cost), kept.events.count()],
        "blacklist": [each.number for each in BlacklistedNumber.objects.all()],
        "served": [again.to_number, str(again.cost), again.legs.get().gateway.name],
        "account": [str(Account.objects.get(name="Acme").balance), ApiKey.objects.get().label],
        "gateway": Gateway.objects.get().password_variable,
    }))
finally:
    connection.close()
    connection.creation._destroy_test_db(name, verbosity=0)
"""


@pytest.fixture(scope="module")
def upgraded() -> dict[str, Any]:
    """What the newest models read from a database that version 0.1 has filled."""
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return read


def test_users_keep_their_phones(upgraded: dict[str, Any]) -> None:
    assert upgraded["phone"] == [["+442079460001", True, "anna"]]


def test_calls_keep_their_history(upgraded: dict[str, Any]) -> None:
    assert upgraded["call"] == ["+442079460002", 61, "0.123000", 1]
    assert upgraded["served"] == ["442079460002", "0.123", "Trunk"]


def test_the_blacklist_is_kept(upgraded: dict[str, Any]) -> None:
    assert upgraded["blacklist"] == ["+442079460003"]


def test_accounts_keep_their_money_and_keys(upgraded: dict[str, Any]) -> None:
    assert upgraded["account"] == ["9.877", "old"]


def test_gateways_keep_their_settings(upgraded: dict[str, Any]) -> None:
    assert upgraded["gateway"] == "TRUNK_PASSWORD"


def test_every_account_pays_what_it_paid(upgraded: dict[str, Any]) -> None:
    def priced(currency: str) -> list[list[str]]:
        return [["0.120000", "0.000000", currency], ["0.340000", "1.000000", currency]]

    assert upgraded["prices"] == [priced("EUR"), priced("USD"), priced("USD")]
    assert upgraded["rates"] == 4  # two for each currency
    assert upgraded["back"] == [["44", 0.12], ["4479", 0.34]]
