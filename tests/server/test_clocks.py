"""Hosts' clocks may be wrong by any amount: every stored time is the database's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django.db import models

from django_poketalk import server
from django_poketalk.server.billing import ledger
from django_poketalk.server.database.clock import DatabaseNow, database_now
from django_poketalk.server.models import Account, ApiKey, Call, LedgerEntry

from . import money
from .conftest import Customer

PACKAGE = Path(server.__file__).parent
HOST_CLOCKS = {"timezone": {"now"}, "datetime": {"now", "utcnow", "today"}, "date": {"today"}}
WITHOUT_ARGUMENT = {"localdate", "localtime"}  # of `timezone`: these convert their argument
WALL_CLOCKS = {"time", "time_ns", "localtime", "gmtime"}  # of the module `time`
ALLOWED = {
    "switch/gateways/sip/sippy_patches/clock.py": 1,  # sippy's log; nothing is stored
}

WRONG = [datetime(1998, 1, 1, tzinfo=UTC), datetime(2077, 7, 7, tzinfo=UTC)]
SOON = timedelta(minutes=2)


def host_clocks(tree: ast.AST) -> Iterator[int]:
    """The lines that read the host's clock, or refer to a function that does."""
    converting = {
        id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        name, attribute = node.value.id, node.attr
        is_aware = attribute in HOST_CLOCKS.get(name, ())
        is_current = (
            name == "timezone" and attribute in WITHOUT_ARGUMENT and id(node) not in converting
        )
        if is_aware or is_current or (name == "time" and attribute in WALL_CLOCKS):
            yield node.lineno


@pytest.mark.parametrize(
    "source",
    [
        "timezone.now()",
        "field(default=timezone.now)",
        "timezone.localdate()",
        "timezone.localdate",
        "datetime.now(UTC)",
        "date.today()",
        "time.time()",
    ],
)
def test_each_way_to_read_the_hosts_clock_is_found(source: str) -> None:
    assert list(host_clocks(ast.parse(source))) == [1]


@pytest.mark.parametrize(
    "source", ["time.monotonic()", "timezone.localdate(moment)", "database_now()", "engine.now()"]
)
def test_other_clocks_and_conversions_are_allowed(source: str) -> None:
    assert list(host_clocks(ast.parse(source))) == []


def test_no_module_of_the_service_reads_the_hosts_clock() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "migrations"]
    assert len(files) > 100
    found = {
        str(path.relative_to(PACKAGE)): len(lines)
        for path in files
        if (lines := list(host_clocks(ast.parse(path.read_text()))))
    }
    assert found == ALLOWED


def test_no_field_of_the_service_defaults_to_the_hosts_clock() -> None:
    dates = [
        field
        for model in server_models()
        for field in model._meta.concrete_fields
        if isinstance(field, models.DateField)
    ]
    assert len(dates) > 15
    for field in dates:
        assert not field.has_default() or isinstance(field.default, date), field
        assert not field.auto_now, field
        assert not field.auto_now_add, field


def server_models() -> list[type[models.Model]]:
    from django.apps import apps

    return list(apps.get_app_config("poketalk_server").get_models())


@pytest.mark.parametrize("wrong", WRONG, ids=["years behind", "years ahead"])
def test_a_host_whose_clock_is_wrong_by_years_stores_the_databases_time(
    customer: Customer, wrong: datetime
) -> None:
    before = database_now() - SOON  # the fixture has booked a top-up
    Account.objects.update(max_spend_per_day=Decimal(5), max_calls_per_second=1)
    with time_machine.travel(wrong):
        assert customer.request_call() == "00"
        assert customer.request_call() == "90"  # two within a second
        call = Call.objects.get()
        money.charge(call, Decimal("0.010"), Decimal("0.010"))
        entry = ledger.top_up(customer.account, Decimal(1))
        key, _secret = ApiKey.issue(customer.account)
        assert ledger.today() == ledger.day_of(before)
    call.refresh_from_db()
    customer.account.refresh_from_db()
    stored = [call.created_at, call.charged_at, entry.created_at, key.created_at]
    stored += LedgerEntry.objects.values_list("created_at", flat=True)
    for moment in stored:
        assert moment is not None
        assert before <= moment < before + 2 * SOON
    assert customer.account.spent_on == ledger.day_of(before)


@pytest.mark.parametrize("wrong", WRONG, ids=["years behind", "years ahead"])
def test_a_key_expires_at_the_databases_time(customer: Customer, wrong: datetime) -> None:
    with time_machine.travel(wrong):
        ApiKey.objects.update(expires_at=database_now() + timedelta(minutes=1))
        assert customer.request_call() == "00"
        ApiKey.objects.update(expires_at=database_now() - timedelta(seconds=1))
        assert customer.request_call() == "40"


def test_a_time_that_was_just_stored_is_not_in_the_future(customer: Customer) -> None:
    account = Account.objects.filter(pk=customer.account.pk)
    for _ in range(50):  # some of them within one millisecond
        account.update(low_balance_since=database_now())

        assert account.filter(low_balance_since__lte=DatabaseNow()).exists()
