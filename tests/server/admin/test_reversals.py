"""A ledger entry is reversed once, with a reason, by users with the permission."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Call, LedgerEntry

from .. import money
from ..conftest import Customer
from ..staff import history, page, staff

BOOKKEEPER = ("view_account", "view_ledgerentry", "reverse_ledgerentry")


def test_reverses_an_entry_from_its_page(customer: Customer) -> None:
    client = staff(*BOOKKEEPER)
    wrong = ledger.top_up(customer.account, Decimal("25.5"), note="Invoice 7")
    html = client.get(page(LedgerEntry, "change", wrong.pk)).content.decode()
    [link] = re.findall(r'href="([^"]+)">Reverse<', html)
    assert "<h2>top-up 25.500</h2>" in html

    asked = client.get(link).content.decode()

    assert "This books -25.500 EUR" in asked
    assert "The balance becomes 100.000 EUR" in asked
    assert LedgerEntry.objects.latest("id") == wrong

    html = client.post(link, {"reason": " Wrong account "}, follow=True).content.decode()

    made = LedgerEntry.objects.latest("id")
    assert (made.kind, made.amount, made.balance) == ("reversal", Decimal("-25.5"), Decimal(100))
    assert (made.note, made.reverses, made.created_by_id) == (
        "Wrong account",
        wrong,
        client.get("/admin/").wsgi_request.user.pk,
    )
    assert "The balance of ACME is 100.000 EUR." in html
    assert f"reverses entry {wrong.pk}" in html
    assert page(LedgerEntry, "change", wrong.pk) in html
    again = client.get(page(LedgerEntry, "change", wrong.pk)).content.decode()
    assert f"reversed by entry {made.pk}" in again
    assert ">Reverse<" not in again
    assert ">Reverse<" not in html
    listed = client.get(page(LedgerEntry, "changelist")).content.decode()
    assert f"reverses entry {wrong.pk}" in listed
    assert f"reversed by entry {made.pk}" in listed
    assert history(wrong) == [f"Reversed by entry {made.pk}."]
    assert history(made) == [f"Reversed entry {wrong.pk}."]


def test_a_charge_is_reversed_on_its_call(customer: Customer, queued: Callable[..., Call]) -> None:
    call = queued(Decimal(2))
    money.charge(call, Decimal("0.5"), Decimal(1))
    charge = call.entries.get(side="B")

    staff(*BOOKKEEPER).post(page(LedgerEntry, "reverse", charge.pk), {"reason": "No sound"})

    made = call.entries.latest("id")
    assert (made.kind, made.side, made.amount) == ("reversal", "B", Decimal(1))
    html = staff("view_call", "view_ledgerentry").get(page(Call, "change", call.pk))
    assert "reversal" in html.content.decode()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_a_reversal_needs_a_reason(customer: Customer, reason: str) -> None:
    wrong = ledger.top_up(customer.account, Decimal(1))

    response = staff(*BOOKKEEPER).post(page(LedgerEntry, "reverse", wrong.pk), {"reason": reason})

    assert response.context["form"].errors["reason"]
    assert LedgerEntry.objects.latest("id") == wrong


def test_the_page_says_why_an_entry_cannot_be_reversed(
    customer: Customer, queued: Callable[..., Call]
) -> None:
    client = staff(*BOOKKEEPER)

    def refused(entry: LedgerEntry) -> str:
        newest = LedgerEntry.objects.latest("id")
        for method in (client.get, client.post):
            response: Any = method(page(LedgerEntry, "reverse", entry.pk), {"reason": "why not"})
            assert LedgerEntry.objects.latest("id") == newest
            assert b'name="reason"' not in response.content
        return str(response.context["refusal"])

    top_up = LedgerEntry.objects.get()
    queued(Decimal(30))
    assert "of its 100.000 EUR, the account has only 70.000 EUR left to spend" in refused(top_up)
    wrong = ledger.adjust(customer.account, Decimal(-5))
    made = ledger.reverse(wrong, "Typing error")
    assert refused(wrong) == f"This entry was already reversed by entry {made.pk}."
    assert refused(made) == "A reversal cannot be reversed. Book an adjustment instead."


@pytest.mark.parametrize(
    "codenames",
    [("view_ledgerentry", "add_ledgerentry", "view_account"), ("reverse_ledgerentry",)],
)
def test_reversing_requires_the_permissions(customer: Customer, codenames: Any) -> None:
    wrong = LedgerEntry.objects.get()
    client = staff(*codenames)

    assert client.get(page(LedgerEntry, "reverse", wrong.pk)).status_code == 403
    answer = client.post(page(LedgerEntry, "reverse", wrong.pk), {"reason": "Mine"})
    assert answer.status_code == 403
    assert b">Reverse<" not in client.get(page(LedgerEntry, "change", wrong.pk)).content
    assert LedgerEntry.objects.latest("id") == wrong


def test_an_entry_that_is_missing_is_not_found(customer: Customer) -> None:
    assert staff(*BOOKKEEPER).get(page(LedgerEntry, "reverse", 4711)).status_code == 404


def test_the_number_of_queries_is_fixed(customer: Customer, django_assert_num_queries: Any) -> None:
    client = staff(*BOOKKEEPER)
    entries = [ledger.top_up(customer.account, Decimal(1)) for _ in range(6)]
    for entry in entries[:3]:
        ledger.reverse(entry, "Again")
    client.get("/admin/")  # caches content types
    with django_assert_num_queries(4 + 1):
        client.get(page(LedgerEntry, "changelist"))
    with django_assert_num_queries(4 + 3):  # the entry, its account, whether it was reversed
        client.get(page(LedgerEntry, "reverse", entries[-1].pk))


@pytest.mark.django_db
def test_each_label_of_the_form_for_an_entry_begins_with_a_capital() -> None:
    html = staff("add_ledgerentry", "view_ledgerentry").get(page(LedgerEntry, "add"))

    labels = re.findall(r"<label[^>]*>([^<]+)", html.content.decode())
    assert "Kind:" in labels
    assert [label for label in labels if label[0].islower()] == []
