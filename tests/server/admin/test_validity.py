"""Decks for a later day: previewed beside today's rates, imported, listed and undone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from django_poketalk.server.billing.rate_decks import comparison, exporting, importing, reading
from django_poketalk.server.models import ALWAYS, PriceList, Rate
from django_poketalk.shared.csv_export import stream

from ..conftest import DatabaseClock
from ..staff import page
from .decks import HEADER, compare, confirm, figures, import_deck, preview

pytestmark = pytest.mark.django_db

MONDAY = date(2026, 6, 8)
UK = "44,UK,0.24,0,1,1\n"


def stored(prices: PriceList) -> set[tuple[str, date, Decimal]]:
    return set(prices.rates.values_list("prefix", "valid_from", "price_per_minute"))


TODAY = {("44", ALWAYS, Decimal("0.12")), ("49", ALWAYS, Decimal("0.10"))}


def test_a_deck_for_monday_leaves_todays_rates(clerk: Client, prices: PriceList) -> None:
    answer = preview(clerk, prices, HEADER + UK, valid_from=MONDAY.isoformat(), delete_missing="on")
    assert figures(answer) == [1, 0, 0, 0]
    assert "1 rate applies from June 8, 2026, midnight in UTC." in answer
    assert "1 prefix that the file does not have keeps its rate of an earlier day." in answer
    assert "<del>0.12</del> → <ins>0.24</ins>" in answer
    assert "(+100.0 %)" in answer
    assert "The price changes by more than 50 %." in answer  # compared with the rate it replaces
    confirm(clerk, answer)

    assert stored(prices) == TODAY | {("44", MONDAY, Decimal("0.24"))}


def test_replacing_mondays_deck_deletes_only_its_rates(prices: PriceList) -> None:
    monday = "prefix,price_per_minute,valid_from\n44,0.13,2026-06-08\n33,0.1,2026-06-08\n"
    import_deck(prices, monday)

    done = import_deck(prices, monday.replace("44,", "7,"), delete_missing=True)
    assert done.counts == {"new": 1, "deleted": 1}
    expected = {("7", MONDAY, Decimal("0.13")), ("33", MONDAY, Decimal("0.1"))}
    assert stored(prices) == TODAY | expected

    record = importing.last_import(prices)
    assert record is not None
    importing.undo(prices, record)
    expected = {("44", MONDAY, Decimal("0.13")), ("33", MONDAY, Decimal("0.1"))}
    assert stored(prices) == TODAY | expected


def test_an_export_keeps_days_and_minimum_charges(prices: PriceList) -> None:
    import_deck(
        prices,
        "prefix,price_per_minute,minimum_charge,valid_from\n44,0.13,0.05,2026-06-08\n44,1,,\n",
    )

    response = stream("rates.csv", exporting.columns(prices), exporting.rows(prices))
    text = b"".join(response).decode("utf-8-sig")  # type: ignore[arg-type]

    assert "44,UK,0.130000,0.000000,1,1,0.050000,2026-06-08" in text
    assert compare(prices, text, delete_missing=True).changes == []


@pytest.mark.parametrize("day", ["08.06.2026", "2026-6-31", "1999-12-31", "soon", "46178"])
def test_other_spellings_of_a_day_are_refused(prices: PriceList, day: str) -> None:
    [wrong] = compare(prices, f"prefix,price_per_minute,valid_from\n44,1,{day}\n").wrong

    assert wrong.line == 2
    assert f"valid_from: “{day}” is not a day such as 2026-11-30" in wrong.words


def test_a_prefix_may_be_in_a_file_once_a_day() -> None:
    text = "prefix,price_per_minute,valid_from\n44,1,\n44,2,2026-06-08\n"
    deck = reading.read(text.encode())
    assert not deck.wrong

    [wrong] = deck.from_day(MONDAY).wrong
    assert "in the file twice: see line 2" in wrong.words


def test_rates_that_a_later_one_ends_are_named(prices: PriceList) -> None:
    import_deck(prices, "prefix,price_per_minute,valid_from\n44,0.13,2026-06-08\n")

    assert (
        "1 rate applies only until a later rate of its prefix."
        in compare(prices, "prefix,price_per_minute\n44,0.11\n").remarks
    )


def test_imports_of_earlier_versions_can_be_undone() -> None:
    old = '[[[false, "44"], ["UK", "0.1", "0", 1, 1], null]]'

    [change] = comparison.from_json(old)

    assert (change.key.valid_from, change.before) == (
        ALWAYS,
        comparison.Terms("UK", Decimal("0.1"), Decimal(0), 1, 1),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [("current", ["49", "44 new"]), ("future", ["44 later"]), ("past", ["44"]), ("x", [])],
)
def test_the_list_filters_by_validity(
    clerk: Client, prices: PriceList, database_clock: DatabaseClock, value: str, expected: list[str]
) -> None:
    database_clock.set(datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC))
    prices.rates.update(destination="")
    for name, day in (("new", date(2026, 6, 1)), ("later", date(2026, 6, 2))):
        Rate.objects.create(
            price_list=prices, prefix="44", destination=name, price_per_minute=1, valid_from=day
        )

    answer: Any = clerk.get(page(Rate, "changelist"), {"validity": value})

    found = [f"{rate.prefix} {rate.destination}".strip() for rate in answer.context["cl"].queryset]
    assert sorted(found) == sorted(expected)


def test_a_rate_without_a_day_applies_at_once(clerk: Client, prices: PriceList) -> None:
    form = {
        "price_list": prices.pk,
        "prefix": "33",
        "price_per_minute": "1",
        "connect_fee": "0",
        "initial_increment": "1",
        "subsequent_increment": "1",
        "minimum_charge": "0",
    }
    clerk.post(page(Rate, "add"), form | {"valid_from": ""})
    clerk.post(page(Rate, "add"), form | {"valid_from": "2026-06-08"})

    assert list(prices.rates.filter(prefix="33").values_list("valid_from", flat=True)) == [
        ALWAYS,
        MONDAY,
    ]
    undated = prices.rates.get(prefix="33", valid_from=ALWAYS)
    answer = clerk.get(page(Rate, "change", undated.pk)).content.decode()
    assert "2000-01-01" not in answer
