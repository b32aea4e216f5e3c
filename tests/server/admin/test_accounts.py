"""An account's pages in the admin: top-ups are booked once, and statements add up."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.server.billing import ledger
from django_poketalk.server.billing.statements import statement
from django_poketalk.server.models import Account, Call, LedgerEntry

from .. import money
from ..conftest import Customer, make_customer
from ..staff import history, page, staff

KEY = "0123456789abcdef" * 2
BOOKER = ("view_account", "add_ledgerentry")
BOOKKEEPER = ("view_account", "view_ledgerentry")


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
    fresh = Account.objects.create(name="Fresh", provider=customer.account.provider)

    def has_field(account: Account) -> bool:
        html = client.get(page(Account, "change", account.pk)).content.decode()
        assert "EUR" in html
        return 'name="currency"' in html

    assert has_field(fresh)
    assert not has_field(customer.account)


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


# Statements


@pytest.fixture
def booked(customer: Customer, queued: Callable[..., Call]) -> Account:
    """An account with entries: March opens with 100, a payment of 50 and charges of 1.500. An
    adjustment of -10 is in April.
    """
    account = customer.account
    call = queued(Decimal(2), custom="=HYPERLINK(1)")
    ledger.top_up(account, Decimal(50), note="<b>=1+1</b>")
    money.charge(call, Decimal("0.5"), Decimal(1))
    ledger.adjust(account, Decimal(-10), note="@SUM(A1)")
    moments = [datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)]
    moments += [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day) for day in (0, 9, 9)]
    moments += [datetime(2026, 4, 1, tzinfo=UTC)]
    for pk, moment in zip(
        LedgerEntry.objects.order_by("pk").values_list("pk", flat=True), moments, strict=True
    ):
        LedgerEntry.objects.filter(pk=pk).update(created_at=moment)
    return account


MARCH = {"first": "2026-03-01", "last": "2026-03-31"}


def test_a_statement_adds_up(booked: Account) -> None:
    march = statement(booked, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))

    assert (march.opening, march.paid_in, march.paid_out) == (100, 50, Decimal("-1.5"))
    assert march.closing == Decimal("148.5")
    assert march.entries.count() == 3
    before = statement(booked, datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    assert (before.opening, before.closing) == (0, 0)
    after = statement(booked, datetime(2026, 5, 1, tzinfo=UTC), timezone.now())
    assert (after.opening, after.closing) == (Decimal("138.5"), Decimal("138.5"))


def test_consecutive_statements_match_when_hosts_clocks_differ(
    customer: Customer,
) -> None:
    """An entry of a host with a fast clock has a later time than the entry after it."""
    account, april = customer.account, datetime(2026, 4, 1, tzinfo=UTC)
    times = [april - timedelta(days=9), april + timedelta(seconds=1), april - timedelta(seconds=1)]
    ledger.top_up(account, Decimal(7))
    ledger.top_up(account, Decimal(20))
    for entry, moment in zip(LedgerEntry.objects.order_by("pk"), times, strict=True):
        LedgerEntry.objects.filter(pk=entry.pk).update(created_at=moment)

    before = statement(account, april - timedelta(days=31), april)
    after = statement(account, april, april + timedelta(days=30))

    assert (before.opening, before.paid_in, before.closing) == (0, 120, 120)
    assert (after.opening, after.paid_in, after.closing) == (120, 7, balance(account))


def test_the_statement_page_contains_only_its_account(booked: Account) -> None:
    ledger.top_up(make_customer("Other").account, Decimal(4711))

    html = staff(*BOOKKEEPER).get(page(Account, "statement", booked.pk), MARCH).content.decode()

    for figure in ("100.000", "50.000", "-1.500", "148.500 EUR"):
        assert f'<dd><bdi dir="ltr">{figure}</bdi></dd>' in html
    assert "4,711" not in html
    assert "&lt;b&gt;=1+1&lt;/b&gt;" in html


def test_the_csv_file_contains_every_entry_and_no_formula(booked: Account) -> None:
    response = staff(*BOOKKEEPER).get(
        page(Account, "statement", booked.pk),
        {"first": "2026-03-01", "last": "2026-04-30", "format": "csv"},
    )
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))

    assert lines[0][0] == "Time"
    assert [line[6] for line in lines[2:-1]] == ["-10.000", "-1.000", "-0.500", "50.000"]
    assert (lines[1][-1], lines[-1][-1]) == ("138.500", "100.000")
    assert lines[2][4] == "'@SUM(A1)"
    assert lines[3][3] == "'=HYPERLINK(1)"
    assert history(booked)[0] == "Exported statement as CSV: 2026-03-01 to 2026-04-30."


@pytest.mark.parametrize(
    "period",
    [
        {"first": "2026-03-31", "last": "2026-03-01"},
        {"first": "yesterday", "last": "2026-03-01"},
        {"first": "0001-01-01", "last": "2026-03-01"},
        {"first": "2026-03-01", "last": "9999-12-31"},
        {"first": "2026-03-01\x00", "last": "2026-03-01"},
    ],
)
def test_rejects_invalid_periods(booked: Account, period: dict[str, str]) -> None:
    for format_ in ("", "csv"):
        query = period | {"format": format_}
        response = staff(*BOOKKEEPER).get(page(Account, "statement", booked.pk), query)
        assert response.status_code == 200
        assert response.context["form"].errors
        assert response.context["statement"] is None


def test_a_statement_requires_the_permission_to_see_the_ledger(booked: Account) -> None:
    for codenames in (["view_account"], ["view_ledgerentry"]):
        response = staff(*codenames).get(page(Account, "statement", booked.pk), MARCH)
        assert response.status_code == 403


def test_the_number_of_queries_does_not_grow_with_the_entries(
    customer: Customer, django_assert_num_queries: Any
) -> None:
    client = staff(*BOOKER, "view_ledgerentry")
    for _ in range(5):
        ledger.top_up(customer.account, Decimal(1))
    client.get("/admin/")  # caches content types
    # The session, the user, the user's permissions and those of the groups; then the page's own.
    with django_assert_num_queries(4 + 1 + 3):  # the account; balance before, sums, entries
        client.get(page(Account, "statement", customer.account.pk))
    with django_assert_num_queries(4 + 1):
        client.get(page(Account, "top_up", customer.account.pk))
