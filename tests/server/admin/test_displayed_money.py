"""Pages display money with its currency, and inputs without."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, LedgerEntry

from .. import money
from ..conftest import Customer
from ..staff import page, staff

pytestmark = pytest.mark.django_db

VIEW = ("view_account", "view_ledgerentry", "view_call")


def bdi(amount: str) -> str:
    """How a page writes an amount: on one line, left to right."""
    return f'<bdi dir="ltr">{amount}\N{NO-BREAK SPACE}EUR</bdi>'


@pytest.fixture
def account(customer: Customer) -> Account:
    """An account with a balance of 1234.5 EUR, of which 0.25 are held."""
    Account.objects.update(credit_limit=20, max_spend_per_day=30, low_balance_at=40)
    account = customer.account
    account.refresh_from_db()
    ledger.top_up(account, Decimal("1234.5") - account.balance)
    assert money.queue(customer.new_call(), Decimal("0.25"))
    return account


def html(client: Client, *address: Any) -> str:
    return client.get(page(*address)).content.decode()


@pytest.mark.parametrize("language", ["en", "he"])
def test_the_list_of_accounts(account: Account, language: str, settings: Any) -> None:
    settings.LANGUAGE_CODE = language

    shown = html(staff(*VIEW), Account, "changelist")

    total = "1,234.500" if language == "en" else "1234.500"
    for amount in (total, "0.250", "20.000"):
        assert bdi(amount) in shown


def test_the_list_of_accounts_is_sorted_by_the_amount(account: Account) -> None:
    for name, amount in (("Small", 9), ("Large", 10_000)):
        other = Account.objects.create(name=name, currency="EUR")
        ledger.top_up(other, Decimal(amount))

    address = page(Account, "changelist")
    listed = staff(*VIEW).get(address, {"o": "4"}).context["cl"]  # without a column for actions

    assert [row.name for row in listed.result_list][::2] == ["Small", "Large"]


def test_an_account_of_a_user_who_may_not_change_it(account: Account) -> None:
    shown = html(staff(*VIEW), Account, "change", account.pk)

    for amount in ("1,234.500", "0.250", "0.000", "20.000", "30.000", "40.000"):
        assert bdi(amount) in shown
    assert "How far the balance may go below zero." in shown


def test_an_accounts_inputs_have_amounts_only(account: Account) -> None:
    client = staff(*VIEW, "change_account")

    shown = html(client, Account, "change", account.pk)

    for amount in ("1,234.500", "0.250", "0.000"):
        assert bdi(amount) in shown
    assert 'name="credit_limit" value="20.000"' in shown
    assert bdi("20.000") not in shown


def test_the_ledger_and_its_entries(account: Account) -> None:
    entry = LedgerEntry.objects.get(balance=Decimal("1234.5"))
    amount = f"{entry.amount:,.3f}"
    for address in ((LedgerEntry, "changelist"), (LedgerEntry, "change", entry.pk)):
        shown = html(staff(*VIEW), *address)

        assert bdi(amount) in shown
        assert bdi("1,234.500") in shown
    assert "Positive amounts are credits." in shown


def test_the_charges_of_a_call(account: Account) -> None:
    call = Call.objects.get()
    money.charge(call, Decimal("0.1"), Decimal("0.05"))

    shown = html(staff(*VIEW), Call, "change", call.pk)

    for amount in ("-0.100", "1,234.400", "-0.050", "1,234.350"):
        assert bdi(amount) in shown


def test_the_credit_in_use_is_named_with_its_currency(customer: Customer) -> None:
    account = customer.account
    account.refresh_from_db()
    Account.objects.filter(pk=account.pk).update(credit_limit=5000)
    ledger.adjust(account, -account.balance - Decimal("1234.5"))
    client = staff(*VIEW, "change_account")
    form = client.get(page(Account, "change", account.pk)).context["adminform"].form
    fields = {name: form.initial.get(name) or "" for name in form.fields}
    counts = {f"addresses-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}

    response = client.post(
        page(Account, "change", account.pk), {**fields, **counts, "credit_limit": "0"}
    )

    assert "already uses 1,234.500 EUR of its credit" in response.content.decode()
