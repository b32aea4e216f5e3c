"""A preview says everything that an import would do, and the last import can be undone."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError
from django.test import Client

from django_poketalk.server.admin import decks
from django_poketalk.server.billing.rate_decks import exporting, importing
from django_poketalk.server.models import (
    BuyRate,
    DeckImport,
    Gateway,
    PriceList,
    Rate,
    ServiceProvider,
)
from django_poketalk.shared.csv_export import stream

from ..staff import staff
from .decks import CONFIRM, HEADER, MAY, confirm, confirm_form, deck, figures, import_deck, preview

pytestmark = pytest.mark.django_db

FOLDER = Path(__file__).parents[1] / "billing" / "decks"
Rows = set[tuple[object, ...]]


def stored(owner: PriceList | Gateway) -> Rows:
    names = ("prefix", "is_internal", "destination", "price_per_minute", "connect_fee")
    return set(owner.rates.values_list(*names, "initial_increment", "subsequent_increment"))


def exported(owner: PriceList | Gateway) -> str:
    response = stream("rates.csv", exporting.columns(owner), exporting.rows(owner))
    return b"".join(response.streaming_content).decode()  # type: ignore[arg-type]


def undo_page(owner: PriceList) -> str:
    return f"/admin/poketalk_server/rate/undo/{owner.pk}/"


def undo(client: Client, owner: PriceList) -> str:
    record = DeckImport.objects.get()
    data = {"import": record.version}
    return client.post(undo_page(owner), data, follow=True).content.decode()


@pytest.mark.parametrize(
    ("price", "percents"),
    [("0.20", "+66.7 %"), ("0.04", "−66.7 %"), ("0.1199", "−0.1 %")],
)
def test_differences_in_percent_are_rounded(
    clerk: Client, prices: PriceList, price: str, percents: str
) -> None:
    assert f"<bdi>({percents})</bdi>" in preview(clerk, prices, HEADER + f"44,UK,{price},0,1,1\n")


def test_displays_old_and_new_prices_and_the_difference(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, HEADER + "44,United Kingdom,0.15,0.01,1,6\n")

    assert "<del>0.12</del> → <ins>0.15</ins></span> <bdi>(+25.0 %)</bdi>" in page
    assert "<del>UK</del> → <ins>United Kingdom</ins>" in page
    assert "<del>0</del> → <ins>0.01</ins>" in page
    assert "<del>1</del> → <ins>6</ins>" in page


def test_lists_every_deletion(clerk: Client, prices: PriceList) -> None:
    Rate.objects.bulk_create(
        Rate(price_list=prices, prefix=str(prefix), price_per_minute=1)
        for prefix in range(4_910_000, 4_910_494)
    )

    page = preview(clerk, prices, HEADER + "44,UK,0.12,0,1,1\n", delete_missing="on")

    assert figures(page) == [0, 0, 495, 1]
    assert page.count("<li><bdi") == 495
    assert '<li><bdi dir="ltr">49</bdi> Germany <bdi dir="ltr">0.1</bdi></li>' in page


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("44,UK,0.19,0,1,1", "The price changes by more than 50 %"),
        ("44,UK,0.05,0,1,1", "changes by more than 50 %"),
        ("44,UK,0.12,0.01,1,1", "The connect fee changes by more than 50 %"),  # a fee that was zero
        ("44,UK,0.12,0,60,1", "The minimum billed seconds change by more than 50 %"),
        ("44,UK,0.12,0,1,60", "The billing increment changes by more than 50 %"),
        ("*,World,0.12,0,1,1", "for all other numbers"),
        ("33,F,0.1,0,1,1\n34,S,0.7,0,1,1", "more than five times the median price"),
    ],
)
def test_outliers_must_be_checked(clerk: Client, prices: PriceList, rows: str, reason: str) -> None:
    before = stored(prices)
    page = preview(clerk, prices, f"{HEADER}{rows}\n")
    assert reason in page
    assert "I have checked the marked rate." in page

    form = confirm_form(page)
    del form["checked"]
    refused = clerk.post(CONFIRM, form, follow=True).content.decode()

    assert "Nothing was imported: check the marked rates first." in refused
    assert stored(prices) == before
    assert "Rates imported" in confirm(clerk, page)
    assert stored(prices) != before


def test_an_unremarkable_import_asks_nothing(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, HEADER + "44,UK,0.17,0,1,1\n49,Germany,0.06,0,1,1\n")

    assert 'name="checked"' not in page
    assert "Rates imported" in confirm(clerk, page)


def test_says_what_the_file_as_a_whole_does(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, "prefix,Country,price_per_minute\n33,FR,0.1\n*,,5.55\n")

    assert "These columns are not read: Country." in page
    assert "The file has no column destination, connect_fee, initial_increment" in page
    assert "The file has a rate for all other numbers: 5.55 per minute." in page


@pytest.mark.parametrize("name", ["plain", "destinations_of_a_formula", "all_numbers"])
def test_importing_an_export_changes_nothing(prices: PriceList, name: str) -> None:
    gateway = Gateway.objects.create(
        provider=ServiceProvider.objects.create(name="Carrier"), name="Trunk", kind="simulated"
    )
    text = (FOLDER / f"{name}.csv").read_text()
    for owner in (prices, gateway):
        import_deck(owner, text, delete_missing=True)
        before = stored(owner)
        assert len(before) == 2

        again = import_deck(owner, exported(owner), delete_missing=True)

        assert (again.changes, again.unchanged) == ([], 2)
        assert stored(owner) == before
    assert not BuyRate.objects.filter(destination__startswith="'").exists()


def test_a_list_of_rates_has_buttons_to_export_few_decks(
    prices: PriceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    PriceList.objects.create(name="Others")
    client = staff("view_rate")

    def buttons(query: str = "") -> list[str]:
        html = client.get(f"/admin/poketalk_server/rate/{query}").content.decode()
        return re.findall(r'/export/\d+/">Export (\w+)<', html)

    assert buttons() == ["Others", "Prices"]
    monkeypatch.setattr(decks, "MAX_EXPORTS", 1)
    assert buttons() == []
    assert buttons(f"?price_list__id__exact={prices.pk}") == ["Prices"]


def test_the_last_import_can_be_undone(clerk: Client, prices: PriceList) -> None:
    before = stored(prices)
    text = HEADER + "44,UK,0.15,0.01,60,6\n33,France,0.1,0,1,1\n"
    confirm(clerk, preview(clerk, prices, text, delete_missing="on"))
    after = stored(prices)

    page = clerk.get(undo_page(prices)).content.decode()
    assert figures(page) == [1, 1, 1, 0]
    assert "<del>0.15</del> → <ins>0.12</ins>" in page
    assert stored(prices) == after

    assert "Import undone: 1 new, 1 changed, 1 deleted" in undo(clerk, prices)
    assert stored(prices) == before
    logged = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert logged[1] == "Undid the import of rates: 1 new, 1 changed, 1 deleted."


def test_a_second_undo_says_that_the_import_was_undone_already(
    clerk: Client, prices: PriceList
) -> None:
    before = stored(prices)
    confirm(clerk, preview(clerk, prices, HEADER + "44,UK,0.15,0,1,1\n"))
    data = {"import": DeckImport.objects.get().version}
    clerk.post(undo_page(prices), data)

    for response in (
        clerk.post(undo_page(prices), data, follow=True),  # in another tab
        clerk.get(undo_page(prices), follow=True),
    ):
        assert response.redirect_chain == [
            (f"/admin/poketalk_server/rate/?price_list__id__exact={prices.pk}", 302)
        ]
        assert "the last one has already been undone." in response.content.decode()
    assert stored(prices) == before


def test_says_to_try_again_if_the_database_refuses_a_change(
    clerk: Client, prices: PriceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_deck(prices, HEADER + "44,UK,0.15,0,1,1\n")
    before = stored(prices)
    preview_page = preview(clerk, prices, HEADER + "44,UK,0.16,0,1,1\n")

    def fail(*args: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(importing, "write", fail)

    for page in (confirm(clerk, preview_page), undo(clerk, prices)):
        assert "somebody else was changing rates at the same time. Try again." in page
    assert stored(prices) == before


def test_an_undo_that_another_one_overtakes_says_the_same(
    clerk: Client, prices: PriceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_deck(prices, HEADER + "44,UK,0.15,0,1,1\n")
    run = importing.undo

    def run_twice(*args: Any) -> None:
        run(*args)
        run(*args)

    monkeypatch.setattr(importing, "undo", run_twice)

    assert "the last one has already been undone." in undo(clerk, prices)
    assert deck(prices)["44"] == Decimal("0.12")


def test_an_import_is_not_undone_over_later_changes(clerk: Client, prices: PriceList) -> None:
    confirm(clerk, preview(clerk, prices, HEADER + "44,UK,0.15,0,1,1\n33,France,0.1,0,1,1\n"))
    prices.rates.filter(prefix="33").update(price_per_minute=Decimal("0.11"))
    before = stored(prices)

    assert "cannot be undone: its rates have been changed since" in undo(clerk, prices)
    assert stored(prices) == before
    prices.rates.filter(prefix="49").update(price_per_minute=9)  # not of the import
    prices.rates.filter(prefix="33").update(price_per_minute=Decimal("0.1"))
    assert "Import undone" in undo(clerk, prices)
    assert deck(prices) == {"44": Decimal("0.12"), "49": Decimal(9)}


def test_only_the_import_that_was_displayed_is_undone(clerk: Client, prices: PriceList) -> None:
    import_deck(prices, HEADER + "44,UK,0.15,0,1,1\n")
    stale = importing.last_import(prices)
    assert stale is not None
    import_deck(prices, HEADER + "44,UK,0.16,0,1,1\n")

    page = clerk.post(undo_page(prices), {"import": stale.version}).content.decode()
    with pytest.raises(importing.RatesChanged):
        importing.undo(prices, stale)

    assert "<del>0.16</del> → <ins>0.15</ins>" in page
    assert deck(prices)["44"] == Decimal("0.16")


def test_a_deck_without_changes_keeps_the_import_to_undo(prices: PriceList) -> None:
    import_deck(prices, HEADER + "44,UK,0.12,0,1,1\n")
    assert not DeckImport.objects.exists()
    import_deck(prices, HEADER + "44,UK,0.15,0,1,1\n")
    import_deck(prices, HEADER + "44,UK,0.15,0,1,1\n")

    assert DeckImport.objects.get().changed == 1


@pytest.mark.parametrize("lacks", ["add_rate", "change_rate", "delete_rate"])
def test_undoing_requires_all_permissions(prices: PriceList, lacks: str) -> None:
    import_deck(prices, HEADER + "44,UK,0.15,0,1,1\n")
    client = staff(*(name for name in MAY if name != lacks))

    assert client.get(undo_page(prices)).status_code == 403
    assert client.post(undo_page(prices)).status_code == 403
