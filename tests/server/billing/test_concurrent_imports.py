"""Two people import rates into one price list at the same time, on a database with row locks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection

from django_poketalk.server.billing.rate_decks import comparison, importing, reading
from django_poketalk.server.billing.rate_decks.importing import RatesChanged
from django_poketalk.server.models import DeckImport, PriceList
from tests.conftest import Times

from ..test_races import run_concurrently

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not connection.features.has_select_for_update,
        reason="Requires a database with row locks, such as DATABASE_URL=postgres://…",
    ),
]
Prices = dict[str, Decimal]

OLD = {str(prefix): Decimal(1) for prefix in range(49_400, 49_500)}
FIRST = {str(prefix): Decimal(2) for prefix in range(49_430, 49_600)}
SECOND = {str(prefix): Decimal(3) for prefix in range(49_350, 49_470)}


@pytest.fixture
def rounds(times: Times) -> range:
    return range(times(5, full=100))


def deck(prices: Prices) -> reading.Deck:
    rows = "".join(f"{prefix},{price}\n" for prefix, price in prices.items())
    return reading.read(f"prefix,price_per_minute\n{rows}".encode())


def stored(owner: PriceList) -> Prices:
    return dict(owner.rates.values_list("prefix", "price_per_minute"))


def replace(owner: PriceList, prices: Prices, expected: str = "") -> None:
    done = importing.run(owner, deck(prices), delete_missing=True, expected=expected)
    assert done.changes


def attempt(task: Callable[[], object]) -> bool:
    """Whether it was done: False if it was refused because the rates had changed."""
    try:
        task()
    except RatesChanged:
        return False
    return True


@pytest.mark.parametrize("before", [{}, OLD], ids=["an empty list", "a list with rates"])
def test_one_import_is_done_after_the_other(rounds: range, before: Prices) -> None:
    for number in rounds:
        owner = PriceList.objects.create(name=f"Prices {number}")
        replace(owner, before) if before else None

        run_concurrently([partial(replace, owner, prices) for prices in (FIRST, SECOND)])

        last = stored(owner)
        assert last in (FIRST, SECOND)
        importing.undo(owner, DeckImport.objects.get(price_list=owner))
        assert stored(owner) == (SECOND if last == FIRST else FIRST)


def test_of_two_confirmed_previews_one_is_imported(rounds: range) -> None:
    for number in rounds:
        owner = PriceList.objects.create(name=f"Prices {number}")
        replace(owner, OLD)
        tasks = []
        for prices in (FIRST, SECOND):
            preview = comparison.compare(owner, deck(prices), delete_missing=True)
            tasks.append(partial(attempt, partial(replace, owner, prices, preview.digest)))

        first_is_done, second_is_done = run_concurrently(tasks)

        assert first_is_done is not second_is_done
        assert stored(owner) == (FIRST if first_is_done else SECOND)
        importing.undo(owner, DeckImport.objects.get(price_list=owner))
        assert stored(owner) == OLD


def test_an_import_is_undone_once(rounds: range) -> None:
    for number in rounds:
        owner = PriceList.objects.create(name=f"Prices {number}")
        replace(owner, OLD)
        replace(owner, FIRST)
        undo = partial(importing.undo, owner, DeckImport.objects.get(price_list=owner))

        done = run_concurrently([partial(attempt, undo)] * 2)

        assert sorted(done) == [False, True]
        assert stored(owner) == OLD


def test_an_import_during_an_undo_comes_before_or_after_it(rounds: range) -> None:
    for number in rounds:
        owner = PriceList.objects.create(name=f"Prices {number}")
        replace(owner, OLD)
        replace(owner, FIRST)
        undo = partial(importing.undo, owner, DeckImport.objects.get(price_list=owner))

        is_undone, _ = run_concurrently(
            [partial(attempt, undo), partial(attempt, partial(replace, owner, SECOND))]
        )

        assert stored(owner) == SECOND
        importing.undo(owner, DeckImport.objects.get(price_list=owner))
        assert stored(owner) == (OLD if is_undone else FIRST)
