"""An account's pages in the admin: top-ups are booked once, and statements add up."""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, LedgerEntry, PriceList
from django_poketalk.server.models.currencies import CURRENCIES

from ..conftest import Customer, make_customer
from ..staff import history, page, staff

KEY = "0123456789abcdef" * 2
BOOKER = ("view_account", "add_ledgerentry")


def top_up(client: Client, account: Account, **fields: str) -> Any:
    form = {"amount": "25.5", "note": "Invoice 7", "key": KEY} | fields
    named = {f"top_up-{name}": value for name, value in form.items()}
    return client.post(page(Account, "top_up", account.pk), named, follow=True)


def balance(account: Account) -> Decimal:
    account.refresh_from_db()
    return account.balance


# Top-ups


def test_tops_up_an_account_from_its_page(customer: Customer) -> None:
    client = staff(*BOOKER)
    html = client.get(page(Account, "change", customer.account.pk)).content.decode()
    [link] = re.findall(r'href="([^"]+)">Top up<', html)
    html = client.get(link).content.decode()
    [key] = re.findall(r'name="top_up-key" value="([0-9a-f]{32})"', html)

    html = top_up(client, customer.account, key=key).content.decode()

    assert "The balance of ACME is 125.500 EUR." in html
    assert balance(customer.account) == Decimal("125.5")
    entry = LedgerEntry.objects.latest("id")
    assert (entry.kind, entry.amount, entry.note) == ("top_up", Decimal("25.5"), "Invoice 7")
    assert entry.created_by is not None
    assert history(customer.account) == ["Topped up by 25.500 EUR."]
    assert history(entry) == ["Topped up ACME by 25.500 EUR."]


def test_the_currency_cannot_change_once_there_are_entries(customer: Customer) -> None:
    client = staff("view_account", "change_account")
    fresh = Account.objects.create(
        name="Fresh", provider=customer.provider, price_list=customer.price_list
    )

    def has_field(account: Account) -> bool:
        html = client.get(page(Account, "change", account.pk)).content.decode()
        assert "EUR" in html
        return 'name="currency"' in html

    assert has_field(fresh)
    assert not has_field(customer.account)


@pytest.mark.parametrize("model", [Account, PriceList])
def test_the_currency_is_chosen_from_iso_4217(
    customer: Customer, admin_client: Client, model: type[Any]
) -> None:
    rows = {Account: Account.objects.create(name="Fresh"), PriceList: customer.price_list}
    path = page(model, "change", rows[model].pk)

    html = admin_client.get(path).content.decode()
    options = re.findall(r'<option value="([A-Z]{3})"( selected)?>([^<]+)', html)
    refused = admin_client.post(path, {"name": "New", "currency": "BTC"})

    assert {code for code, _selected, _name in options} == CURRENCIES
    assert [name for _code, selected, name in options if selected] == ["EUR – Euro"]
    assert "currency" in refused.context["adminform"].form.errors


def test_a_currency_that_left_the_list_is_not_changed_unasked(
    customer: Customer, admin_client: Client
) -> None:
    fresh = Account.objects.create(name="Fresh", currency="DEM")
    path = page(Account, "change", fresh.pk)

    html = admin_client.get(path).content.decode()

    assert re.findall(r'<option value="[A-Z]{3}" selected', html) == []
    form = {"addresses-TOTAL_FORMS": "0", "addresses-INITIAL_FORMS": "0", "credit_limit": "0"}
    response = admin_client.post(path, form | {"name": "Fresh", "currency": ""})
    assert "currency" in response.context["adminform"].form.errors


def test_currencies_have_names_in_the_users_language(customer: Customer, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"

    path = page(PriceList, "change", customer.price_list.pk)
    html = staff("view_pricelist", "change_pricelist").get(path).content.decode()

    assert ">CHF – Schweizer Franken<" in html


def test_a_repeated_top_up_form_is_booked_once(customer: Customer) -> None:
    client = staff(*BOOKER)
    top_up(client, customer.account)

    html = top_up(client, customer.account).content.decode()

    assert "is already booked. It was not booked again" in html
    assert balance(customer.account) == Decimal("125.5")
    assert history(customer.account) == ["Topped up by 25.500 EUR."]


def test_every_form_has_a_unique_key(customer: Customer) -> None:
    client = staff(*BOOKER)
    path = page(Account, "top_up", customer.account.pk)

    keys = [client.get(path).context["top_up"]["key"].value() for _ in range(2)]

    assert len(set(keys)) == 2


def test_rejects_a_key_of_another_payment(customer: Customer) -> None:
    other = make_customer("Other")
    client = staff(*BOOKER)
    top_up(client, customer.account)

    for account, amount in ((customer.account, "26"), (other.account, "25.5")):
        response = top_up(client, account, amount=amount)
        assert "already booked" in response.context["top_up"].errors["amount"][0]
    assert (balance(customer.account), balance(other.account)) == (Decimal("125.5"), Decimal(100))


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "0.0001"},
        {"amount": "999999999999.999"},
        {"amount": "NaN"},
        {"amount": "1e400"},
        {"amount": ""},
        {"note": "x" * 201},
        {"key": ""},
        {"key": "'; DROP TABLE"},
    ],
)
def test_an_invalid_payment_is_an_error_of_the_form(
    customer: Customer, fields: dict[str, str]
) -> None:
    response = top_up(staff(*BOOKER), customer.account, **fields)

    assert response.status_code == 200
    assert response.context["top_up"].errors
    assert balance(customer.account) == 100


def test_topping_up_requires_the_permission(customer: Customer) -> None:
    for codenames in (["view_account", "change_account"], ["add_ledgerentry"]):
        client = staff(*codenames)
        assert top_up(client, customer.account).status_code == 403
    reader = staff("view_account").get(page(Account, "change", customer.account.pk))
    assert b"Top up" not in reader.content
    assert balance(customer.account) == 100


def test_a_missing_account_is_not_found(admin_client: Client, db: None) -> None:
    for action in ("top_up", "statement"):
        assert admin_client.get(page(Account, action, 4711)).status_code == 404


def test_the_ledger_returns_the_entry_of_a_repeated_key(customer: Customer) -> None:
    first = ledger.top_up(customer.account, Decimal(1), key=KEY)
    again = ledger.top_up(customer.account, Decimal(1), key=KEY)

    assert (first.repeated, again.repeated, again.pk) == (False, True, first.pk)
    with pytest.raises(ValueError, match="already booked"):
        ledger.top_up(customer.account, Decimal(2), key=KEY)
    with pytest.raises(ValueError, match="maximum is 32"):
        ledger.top_up(customer.account, Decimal(1), key=KEY + "0")
    assert balance(customer.account) == 101


def test_keys_that_differ_in_case_or_white_space_are_different_payments(
    customer: Customer,
) -> None:
    """For MariaDB, such keys are equal. It rejects the second payment instead of ignoring it."""
    ledger.top_up(customer.account, Decimal(50), key="invoice-7a")
    paid = balance(customer.account)
    for key in ("invoice-7A", "invoice-7a "):
        with contextlib.suppress(ValueError):
            ledger.top_up(customer.account, Decimal(50), key=key)
            paid += 50
        assert balance(customer.account) == paid


def test_money_is_formatted_in_the_users_language(customer: Customer, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    Account.objects.filter(pk=customer.account.pk).update(
        spent_on=ledger.today(), spent=Decimal("15.216")
    )

    html = staff(*BOOKER).get(page(Account, "change", customer.account.pk)).content.decode()

    assert "15,216" in html
    assert "15.216" not in html


def test_the_number_of_queries_of_a_top_up_is_fixed(
    customer: Customer, django_assert_num_queries: Any
) -> None:
    client = staff(*BOOKER)
    client.get("/admin/")  # caches content types
    # The session, the user, the user's permissions and those of the groups; then the account.
    with django_assert_num_queries(4 + 1):
        client.get(page(Account, "top_up", customer.account.pk))
