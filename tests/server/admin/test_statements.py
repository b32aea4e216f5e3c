"""An account's statement in the admin, to hand out: it adds up, and says what charges are for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.admin import statements as admin_statements
from django_poketalk.server.billing import ledger, statements
from django_poketalk.server.billing.statements import statement
from django_poketalk.server.models import Account, Call, LedgerEntry, Rate
from django_poketalk.shared import changelist

from .. import money
from ..conftest import Customer, make_customer
from ..staff import history, page, staff

BOOKKEEPER = ("view_account", "view_ledgerentry")


def balance(account: Account) -> Decimal:
    account.refresh_from_db()
    return account.balance


@pytest.fixture
def booked(customer: Customer, queued: Callable[..., Call]) -> Account:
    """An account with entries: March opens with 100, a payment of 50 and charges of 1.500, of which
    0.500 are reversed. An adjustment of -10 is in April.
    """
    account = customer.account
    call = queued(Decimal(2), custom="=HYPERLINK(1)")
    ledger.top_up(account, Decimal(50), note="<b>=1+1</b>")
    money.charge(call, Decimal("0.5"), Decimal(1))
    ledger.reverse(call.entries.get(side="A"), "No sound")
    ledger.adjust(account, Decimal(-10), note="@SUM(A1)")
    moments = [datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)]
    moments += [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day) for day in (0, 9, 9, 30)]
    moments += [datetime(2026, 4, 1, tzinfo=UTC)]
    for pk, moment in zip(
        LedgerEntry.objects.order_by("pk").values_list("pk", flat=True), moments, strict=True
    ):
        LedgerEntry.objects.filter(pk=pk).update(created_at=moment)
    return account


MARCH = {"first": "2026-03-01", "last": "2026-03-31"}


def test_a_statement_adds_up(booked: Account) -> None:
    march = statement(booked, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))

    assert (march.opening, march.top_ups, march.charges) == (100, 50, Decimal("-1.5"))
    assert (march.corrections, march.closing) == (Decimal("0.5"), Decimal(149))
    assert march.entries.count() == 4
    before = statement(booked, datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    assert (before.opening, before.closing) == (0, 0)
    after = statement(booked, datetime(2026, 5, 1, tzinfo=UTC), timezone.now())
    assert (after.opening, after.closing) == (139, 139)


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

    assert (before.opening, before.top_ups, before.closing) == (0, 120, 120)
    assert (after.opening, after.top_ups, after.closing) == (120, 7, balance(account))


def test_the_statement_page_contains_only_its_account(booked: Account) -> None:
    ledger.top_up(make_customer("Other").account, Decimal(4711))

    html = staff(*BOOKKEEPER).get(page(Account, "statement", booked.pk), MARCH).content.decode()

    for figure in ("100.000", "50.000", "-1.500", "0.500", "149.000"):
        assert f'<dd><bdi dir="ltr">{figure} EUR</bdi></dd>' in html
    assert "4,711" not in html
    assert "&lt;b&gt;=1+1&lt;/b&gt;" in html


def lines_of(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_csv_file_contains_every_entry_and_no_formula(
    booked: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "BATCH", 2)
    response = staff(*BOOKKEEPER).get(
        page(Account, "statement", booked.pk),
        {"first": "2026-03-01", "last": "2026-04-30", "format": "csv"},
    )

    opening, *entries, closing = lines_of(response)

    amounts = ["50.000", "-0.500", "-1.000", "0.500", "-10.000"]
    assert [line["Amount"] for line in entries] == amounts
    assert (opening["Balance after"], closing["Balance after"]) == ("100.000", "139.000")
    assert {line["Currency"] for line in (opening, *entries, closing)} == {"EUR"}
    assert entries[4]["Note"] == "'@SUM(A1)"
    assert entries[1]["Call"] == "'=HYPERLINK(1)"
    assert entries[3]["Reverses entry"] == entries[1]["Entry"]
    assert entries[0]["Time (UTC)"] == "2026-03-01 00:00:00"
    assert history(booked)[0] == "Exported statement as CSV: 2026-03-01 to 2026-04-30."


def leg(call: Call, side: str, duration: int, **facts: Any) -> None:
    """An answered attempt, with at least 60 billed seconds and increments of 6."""
    call.legs.create(
        side=side, number=call.from_number if side == "A" else call.to_number,
        price_per_minute=1, connect_fee=0, initial_increment=60, subsequent_increment=6,
        answered_at=timezone.now(), duration=duration, **facts,
    )  # fmt: skip


@pytest.mark.parametrize(("billed", "seconds"), [("answer", "96"), ("connected", "60")])
def test_each_charge_says_number_destination_and_billed_seconds(
    customer: Customer, queued: Callable[..., Call], billed: str, seconds: str
) -> None:
    rate_b = Rate.objects.create(
        price_list=customer.price_list,
        prefix="1202",
        destination="Washington",
        price_per_minute=1,
    )
    call = queued(Decimal(5), rate_b=rate_b, leg_a_billed=billed)
    call.legs.create(
        side="B", attempt=2, number=call.to_number, price_per_minute=9, connect_fee=0,
        initial_increment=1, subsequent_increment=1,
    )  # fmt: skip  # not answered
    leg(call, "A", 91)
    leg(call, "B", 59)
    money.charge(call, Decimal("1.6"), Decimal(1))
    path = page(Account, "statement", customer.account.pk)
    reader, masked = staff(*BOOKKEEPER, "view_numbers", "view_call"), staff(*BOOKKEEPER)

    html, hidden = (each.get(path).content.decode() for each in (reader, masked))
    *_top_up, a, b, _closing = lines_of(reader.get(path, {"format": "csv"}))
    *_others, hidden_b, _closing = lines_of(masked.get(path, {"format": "csv"}))

    assert (a["Number"], a["Billed seconds"]) == (call.from_number, seconds)
    assert (b["Number"], b["Destination"], b["Billed seconds"]) == (
        call.to_number,
        "Washington",
        "60",
    )
    assert "+1 202-555-0123" in html
    assert page(Call, "change", call.pk) in html
    assert "Washington" in hidden
    assert page(Call, "change", call.pk) not in hidden
    for text in (hidden, str(hidden_b)):
        assert "555-0123" not in text
        assert call.to_number not in text
        assert "+1 ••" in text


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-11-01", "2026-11-30", "November 2026"),
        ("2026-11-01", "2026-11-15", "1 – 15 November 2026"),
        ("2026-10-28", "2026-11-03", "28 October – 3 November 2026"),
        ("2025-12-28", "2026-01-03", "28 December 2025 – 3 January 2026"),
        ("2026-01-01", "2026-12-31", "2026"),
        ("2024-02-01", "2024-02-29", "February 2024"),
        ("2026-11-29", "2026-11-29", "29 November 2026"),
    ],
)
def test_the_page_names_period_currency_and_time_zone(
    booked: Account, settings: Any, first: str, last: str, words: str
) -> None:
    settings.TIME_ZONE = "Europe/London"
    query = {"first": first, "last": last}

    html = staff(*BOOKKEEPER).get(page(Account, "statement", booked.pk), query).content.decode()

    assert f"<h2>{words}</h2>" in html
    assert "Amounts are in EUR. Days and times are in the time zone Europe/London." in html


def test_a_long_statement_has_pages_and_can_be_printed_whole(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_poketalk.server.admin.statements.PAGE", 3)
    for number in range(7):
        ledger.top_up(customer.account, Decimal(1), note=f"Payment {number}.")
    client, path = staff(*BOOKKEEPER), page(Account, "statement", customer.account.pk)

    def payments(**query: str) -> list[int]:
        html = client.get(path, query).content.decode()
        return [int(found) for found in re.findall(r"Payment (\d)\.", html)]

    html = client.get(path).content.decode()
    assert "Page 1 of 3 of the statement." in html
    [whole] = re.findall(r'href="([^"]+all=1)"', html)
    assert [payments(), payments(p="2"), payments(p="3")] == [[0, 1], [2, 3, 4], [5, 6]]
    assert payments(p="x") == [0, 1]
    assert payments(all="1") == list(range(7))
    whole_page = client.get(path + whole.replace("&amp;", "&")).content.decode()
    assert "Page 1 of" not in whole_page
    monkeypatch.setattr("django_poketalk.server.admin.statements.MAX_PRINTED", 4)
    assert payments(all="1") == [0, 1]
    assert "all=1" not in client.get(path).content.decode()


@pytest.mark.parametrize(
    ("period", "why"),
    [
        ({"first": "2026-03-31", "last": "2026-03-01"}, "must not be after the last"),
        ({"first": "yesterday", "last": "2026-03-01"}, "Enter a valid date"),
        ({"first": "0001-01-01", "last": "2026-03-01"}, "days of the years 2000 to 2999"),
        ({"first": "2026-03-01", "last": "9999-12-31"}, "days of the years 2000 to 2999"),
        ({"first": "2026-03-01\x00", "last": "2026-03-01"}, "Enter a valid date"),
    ],
)
def test_rejects_invalid_periods(booked: Account, period: dict[str, str], why: str) -> None:
    for format_ in ("", "csv"):
        query = period | {"format": format_}
        response = staff(*BOOKKEEPER).get(page(Account, "statement", booked.pk), query)
        assert response.status_code == 200
        assert why in str(response.context["form"].errors)
        assert response.context["statement"] is None


def test_a_statement_requires_the_permission_to_see_the_ledger(booked: Account) -> None:
    for codenames in (["view_account"], ["view_ledgerentry"]):
        response = staff(*codenames).get(page(Account, "statement", booked.pk), MARCH)
        assert response.status_code == 403


def test_the_number_of_queries_does_not_grow_with_the_entries(
    customer: Customer, queued: Callable[..., Call], django_assert_num_queries: Any
) -> None:
    client = staff("view_account", "view_ledgerentry", "view_call", "view_numbers")
    for number in range(5):
        call = queued(Decimal(2), custom=f"web{number}")
        leg(call, "A", 10)
        leg(call, "B", 5)
        money.charge(call, Decimal("0.5"), Decimal("0.5"))
    ledger.reverse(call.entries.get(side="A"), "No sound")
    client.get("/admin/")  # caches content types
    # The session, the user, the user's permissions and those of the groups; the account, the time;
    # the newest entry, both balances, which are 0 and that of an entry; sums; entries, legs
    for query in ({}, {"all": "1"}):
        with django_assert_num_queries(4 + 2 + 1 + 3 + 1 + 2):
            client.get(page(Account, "statement", customer.account.pk), query)


def test_a_statement_with_very_many_entries_has_pages_to_its_end(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_statements, "PAGE", 2)
    monkeypatch.setattr(admin_statements, "MAX_PRINTED", 4)
    monkeypatch.setattr(changelist, "MOST_COUNTED", 6)
    monkeypatch.setattr(changelist, "DEEP", 4)
    for amount in range(2, 10):
        ledger.top_up(customer.account, Decimal(amount))
    client = staff(*BOOKKEEPER)

    def amounts(**query: str) -> tuple[str, list[str]]:
        html = client.get(page(Account, "statement", customer.account.pk), query).content.decode()
        words = re.search(r"Page (.*) of the statement", html)
        assert words
        return words[1], re.findall(r'<bdi dir="ltr">([0-9]+)\.000</bdi></td>', html)[::2]

    assert amounts(all="1") == ("1 of 4+", ["100", "2"])
    assert amounts(p="3") == ("3 of 4+", ["5", "6"])
    assert amounts(p="5") == ("5 of 5", ["9"])
