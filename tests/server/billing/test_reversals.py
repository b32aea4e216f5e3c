"""A reversal undoes its entry exactly and once, and the database refuses anything else."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, LedgerEntry

from ..conftest import Customer
from ..money import charge
from .test_ledger import D, Queued, money_of


def test_a_reversal_undoes_its_entry_exactly_and_once(customer: Customer, queued: Queued) -> None:
    account, call = customer.account, queued(D(10))
    charge(call, D("0.515"), D("1.2"))
    entries = [*call.entries.all(), ledger.adjust(account, D("-0.001"))]

    for entry in entries:
        made = ledger.reverse(entry, "Test")
        assert (made.amount, made.reverses, entry.reversed_by) == (-entry.amount, entry, made)
        for again in (entry, made):
            with pytest.raises(ledger.NotReversible):
                ledger.reverse(again, "Once more")

    assert money_of(account) == (D(100), D(0))
    call.refresh_from_db()
    assert call.cost == D("1.715")  # the record of the call stays


def test_a_reversed_top_up_does_not_pass_the_credit_limit(
    customer: Customer, queued: Queued
) -> None:
    account, paid = customer.account, ledger.top_up(customer.account, D(50))
    queued(D("100.001"))
    with pytest.raises(ledger.InsufficientFunds):
        ledger.reverse(paid, "Bounced")
    assert money_of(account) == (D(150), D("100.001"))

    Account.objects.update(credit_limit=D("0.001"))

    ledger.reverse(paid, "Bounced")
    assert money_of(account)[0] == D(100)


def test_a_reversal_without_a_reason_is_refused(customer: Customer) -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        ledger.reverse(LedgerEntry.objects.get(), " ")


@pytest.mark.parametrize(
    ("kind", "note", "reverses"),
    [
        ("reversal", "", True),
        ("reversal", "Why", False),
        ("adjustment", "Why", True),
    ],
)
def test_the_database_refuses_a_reversal_without_its_parts(
    customer: Customer, kind: str, note: str, reverses: bool
) -> None:
    entry = LedgerEntry.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(
            account=customer.account,
            kind=kind,
            amount=-1,
            balance=0,
            note=note,
            reverses=entry if reverses else None,
        )


def test_the_database_refuses_a_second_reversal(customer: Customer) -> None:
    entry = LedgerEntry.objects.get()
    columns: dict[str, Any] = {
        "account": customer.account,
        "kind": "reversal",
        "amount": -1,
        "balance": 0,
    }
    LedgerEntry.objects.create(**columns, note="First", reverses=entry)
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(**columns, note="Second", reverses=entry)
