"""The service's lists find a few among millions of rows by an index, and pages read only a few."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import ProtectedError
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_poketalk.server.admin import ledger as ledger_admin
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, EventDelivery, LedgerEntry, Leg
from django_poketalk.server.models.deletion import MAX_PROTECTED

from ..conftest import CALLEE, CALLER, Customer, make_customer
from ..staff import page, staff


@pytest.fixture
def call(customer: Customer) -> Call:
    """A call with a leg."""
    call = customer.new_call(custom="order 7")
    call.save()
    call.legs.create(
        side="A", attempt=1, gateway=customer.gateway, number=CALLER, price_per_minute=1,
        connect_fee=0, initial_increment=1, subsequent_increment=1,
    )  # fmt: skip
    return call


def found(client: Client, model: type[Any], words: str) -> list[Any]:
    return list(client.get(page(model, "changelist"), {"q": words}).context["cl"].queryset)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Others plan by the number of rows.")
@pytest.mark.parametrize(
    ("model", "query", "index"),
    [
        (Leg, "cause=busy", "poketalk_server_leg_cause"),
        (Leg, f"q=%2B{CALLER}", "poketalk_server_leg_number"),
        (EventDelivery, "response=failed", "poketalk_server_unanswered"),
        (EventDelivery, "response=412", "poketalk_server_hang_ups"),
        (EventDelivery, "response=refused", "poketalk_server_refused"),
        (EventDelivery, "response=slow", "poketalk_server_slow"),
    ],
)
def test_an_index_finds_the_rows(
    admin_client: Client, call: Call, model: type[Any], query: str, index: str
) -> None:
    table = model._meta.db_table
    with CaptureQueriesContext(connection) as captured:
        assert admin_client.get(f"{page(model, 'changelist')}?{query}").status_code == 200
    [sql, *_others] = [each["sql"] for each in captured if f'FROM "{table}"' in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = [row[-1] for row in cursor.fetchall()]

    assert index in "\n".join(plan)
    assert f"SCAN {table}" not in plan


def test_legs_are_found_by_the_id_of_their_call_and_by_number(
    admin_client: Client, call: Call
) -> None:
    Call.objects.update(custom=CALLEE)
    leg = call.legs.get()

    assert found(admin_client, Leg, CALLEE) == [leg]
    assert found(admin_client, Leg, f"+{CALLER[:6]}") == [leg]
    assert found(admin_client, Leg, "order 8") == []


@pytest.mark.parametrize("most", [0, 1000])
def test_entries_are_found_by_account_or_note(
    admin_client: Client, customer: Customer, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(ledger_admin, "MOST_ACCOUNTS", most)
    other = make_customer("Other")
    noted = ledger.top_up(other.account, Decimal(1), note="Bank transfer of May")

    assert {entry.account for entry in found(admin_client, LedgerEntry, "acme")} == {
        customer.account
    }
    assert found(admin_client, LedgerEntry, "transfer") == [noted]
    assert found(admin_client, LedgerEntry, "other MAY") == [noted]
    assert found(admin_client, LedgerEntry, '"transfer of" other') == [noted]
    assert found(admin_client, LedgerEntry, "'of transfer'") == []
    assert found(admin_client, LedgerEntry, "acme transfer") == []
    assert found(admin_client, LedgerEntry, "e " * 300) == found(admin_client, LedgerEntry, "e")
    assert found(staff("view_ledgerentry"), LedgerEntry, "transfer") == []


def test_an_account_with_calls_is_kept_and_names_only_a_few(
    admin_client: Client, customer: Customer, call: Call
) -> None:
    Call.objects.bulk_create(customer.new_call(custom=str(n)) for n in range(MAX_PROTECTED * 2))

    listed = admin_client.get(page(Account, "delete", customer.account.pk)).context["protected"]

    entries = LedgerEntry.objects.filter(account=customer.account).count()
    assert len(listed) == MAX_PROTECTED + min(entries, MAX_PROTECTED)
    for row, name in ((customer.account, "account"), (customer.provider, "provider")):
        with pytest.raises(ProtectedError, match=f"Call.{name}"):
            row.delete()


def test_an_account_without_calls_and_entries_is_deleted(customer: Customer) -> None:
    account = Account.objects.create(name="Mistake", provider=customer.provider)

    account.delete()

    assert not Account.objects.filter(pk=account.pk).exists()
