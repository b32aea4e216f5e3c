"""A statement is read mostly from balances, and equals the sums of the entries themselves."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from django_poketalk.server.billing import ledger, statements
from django_poketalk.server.billing.statements import statement
from django_poketalk.server.models import Account, Call, LedgerEntry

from .. import money
from ..conftest import Customer, make_customer

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Kind = LedgerEntry.Kind


def book(account: Account, queued: Callable[..., Call], chance: random.Random) -> None:
    """Top-ups, adjustments, charges and reversals."""
    for number in range(50):
        amount = Decimal(chance.randrange(1, 90_000)) / 1000
        match chance.randrange(6):
            case 0:
                ledger.top_up(account, amount + 100)
            case 1:
                ledger.adjust(account, amount)
            case 2 if account.entries.exclude(kind=Kind.REVERSAL).filter(reversal=None).exists():
                made = account.entries.exclude(kind=Kind.REVERSAL).filter(reversal=None)
                ledger.reverse(chance.choice(made), "A mistake")
            case _:
                call = queued(Decimal(2), custom=f"web{number}")
                money.charge(call, Decimal("0.123"), Decimal("1.5"))


def set_times(account: Account, chance: random.Random, most: timedelta) -> None:
    """One hour after another, and some earlier by up to `most`, as after a clock was set back."""
    for number, entry in enumerate(account.entries.order_by("pk")):
        back = most * chance.choice((0, 0, 0, 0.4, 1))
        moment = START + number * HOUR - back
        LedgerEntry.objects.filter(pk=entry.pk).update(created_at=moment)


@pytest.mark.parametrize("most", [timedelta(0), 5 * HOUR, 7 * 24 * HOUR])
@pytest.mark.parametrize("seed", range(3))
def test_a_statement_equals_the_raw_ledger(
    customer: Customer, queued: Callable[..., Call], seed: int, most: timedelta
) -> None:
    chance = random.Random(seed)
    account = customer.account
    ledger.top_up(account, Decimal(10_000))
    LedgerEntry.objects.filter(account=account).update(created_at=START - 300 * HOUR)
    ledger.top_up(make_customer("Other").account, Decimal(4711))
    book(account, queued, chance)
    set_times(account, chance, most)
    entries = list(account.entries.order_by("created_at", "pk"))

    def raw(first: datetime, end: datetime, *kinds: str) -> Decimal:
        within = [each for each in entries if first <= each.created_at < end]
        return sum((each.amount for each in within if each.kind in kinds), Decimal(0))

    for _ in range(25):
        since, until = sorted(START + chance.randrange(-200, 90) * HOUR for _end in range(2))
        found = statement(account, since, until)
        assert found.opening == raw(START - 999 * HOUR, since, *Kind.values)
        assert found.top_ups == raw(since, until, Kind.TOP_UP)
        assert found.charges == raw(since, until, Kind.CHARGE)
        assert found.corrections == raw(since, until, Kind.ADJUSTMENT, Kind.REVERSAL)
        assert found.closing == raw(START - 999 * HOUR, until, *Kind.values)
        assert list(found.entries) == [each for each in entries if since <= each.created_at < until]


def test_entries_that_are_booked_meanwhile_are_in_none_of_the_figures(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, now = customer.account, datetime.now(UTC)
    read_balance = statements._balance

    def booked_meanwhile(*args: object) -> Decimal:
        balance = read_balance(*args)  # type: ignore[arg-type]
        ledger.top_up(account, Decimal(7))
        return balance

    monkeypatch.setattr(statements, "_balance", booked_meanwhile)
    found = statement(account, now - timedelta(days=1), now + timedelta(days=1))

    assert (found.opening, found.top_ups, found.charges, found.closing) == (0, 100, 0, 100)
