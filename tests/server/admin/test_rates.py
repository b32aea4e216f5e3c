"""Rate decks are previewed, and then imported completely or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from django_poketalk.server.billing.rate_decks import reading
from django_poketalk.server.models import (
    BuyRate,
    DeckImport,
    Gateway,
    PriceList,
    Rate,
    ServiceProvider,
)

from ..staff import page, staff
from .decks import (
    CONFIRM,
    CONFIRM_BUYING,
    HEADER,
    IMPORT,
    IMPORT_BUYING,
    MAY,
    buy_deck,
    compare,
    confirm,
    confirm_form,
    deck,
    figures,
    import_deck,
    preview,
)

pytestmark = pytest.mark.django_db


def test_the_preview_writes_nothing(clerk: Client, prices: PriceList) -> None:
    csv = HEADER + "44,UK,0.12,0,1,1\n49,Germany,0.2,0,1,1\n33,France,0.09,0.01,60,6\n"

    page = preview(clerk, prices, csv)

    assert figures(page) == [1, 1, 0, 1]  # new, changed, deleted, unchanged
    assert len(deck(prices)) == 2

    assert "1 new, 1 changed, 0 deleted, 1 unchanged" in confirm(clerk, page)
    assert deck(prices) == {"44": Decimal("0.12"), "49": Decimal("0.2"), "33": Decimal("0.09")}
    france = prices.rates.get(prefix="33")
    assert (france.connect_fee, france.initial_increment) == (Decimal("0.01"), 60)
    assert LogEntry.objects.get().object_id == str(prices.pk)


def test_deletes_missing_rates_only_on_request(clerk: Client, prices: PriceList) -> None:
    csv = HEADER + "44,UK,0.12,0,1,1\n"

    assert "The file changes nothing." in preview(clerk, prices, csv)
    confirm(clerk, preview(clerk, prices, csv, delete_missing="on"))

    assert deck(prices) == {"44": Decimal("0.12")}


def test_an_import_keeps_the_rates_of_other_providers(clerk: Client, prices: PriceList) -> None:
    other = PriceList.objects.create(name="Other")
    Rate.objects.create(price_list=other, prefix="44", price_per_minute=9)

    page = preview(clerk, prices, HEADER + "44,UK,0.5,0,1,1\n", delete_missing="on")
    confirm(clerk, page)

    assert deck(other) == {"44": Decimal(9)}
    assert deck(prices) == {"44": Decimal("0.5")}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("4x,UK,0.1,0,1,1", "prefix"),
        ("44,UK,-0.1,0,1,1", "price_per_minute"),
        ("44,UK,0.1,-1,1,1", "connect_fee"),
        ("44,UK,much,0,1,1", "price_per_minute"),
        ("44,UK,NaN,0,1,1", "price_per_minute"),
        ("44,UK,,0,1,1", "price_per_minute"),
        ("44,UK,0.1,0,0,1", "initial_increment"),
        ("44,UK,0.1,0,1,0", "subsequent_increment"),
        ("44,UK,0.1,0,1,1.5", "subsequent_increment"),
        ("44,UK,0.1,0,1,1e99999999", "subsequent_increment"),
        ("44,UK,0.1,0,32768,1", "initial_increment: Ensure .* less than or equal to 32767"),
        ("44,UK,0.1,0,1,65535", "subsequent_increment: Ensure .* less than or equal to 32767"),
        ("4" * 16 + ",UK,0.1,0,1,1", "prefix"),
        ("44,UK,1234567890,0,1,1", "price_per_minute"),
    ],
)
def test_names_an_invalid_row_and_imports_nothing(
    clerk: Client, prices: PriceList, row: str, message: str
) -> None:
    page = preview(clerk, prices, f"{HEADER}33,France,0.09,0,1,1\n{row}\n")

    assert re.search(rf"Line 3: .*{message}", page)
    assert 'name="import_file_name"' not in page
    done = import_deck(prices, f"{HEADER}33,France,0.09,0,1,1\n{row}\n")
    assert [wrong.line for wrong in done.wrong] == [3]
    assert "33" not in deck(prices)


def test_minus_zero_is_zero(prices: PriceList) -> None:
    [change] = import_deck(prices, HEADER + "33,France,-0,-0.000,1,1\n").changes
    assert str(change) == "33 France: new, 0 + 0, 1/1"
    assert '"-0' not in DeckImport.objects.get().changes


def test_the_form_refuses_an_increment_that_some_databases_cannot_store(
    admin_client: Client, prices: PriceList
) -> None:
    figures = {"price_per_minute": "1", "connect_fee": "0", "minimum_charge": "0"}
    increments = {"initial_increment": "32768", "subsequent_increment": "32767"}
    form = {"price_list": prices.pk, "prefix": "33", **figures, **increments}

    response = admin_client.post(page(Rate, "add"), form)

    assert list(response.context["adminform"].form.errors) == ["initial_increment"]


def test_rejects_a_repeated_prefix(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, f"{HEADER}33,France,0.09,0,1,1\n+33,France,0.08,0,1,1\n")

    assert "Line 3: prefix: This prefix is in the file twice: see line 2." in page


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "empty"),
        ("prefix,price\n1,2\n", "price_per_minute"),
        (HEADER, "The file has no rows."),
        ("prefix,price_per_minute, Prefix\n1,2,3\n", "names a column twice: prefix."),
        (HEADER + "1,,1,0,1,1\n" * (reading.MAX_ROWS + 1), "A deck has at most 50000 rows."),
        (b"\xd6sterreich", "not a CSV file in UTF-8"),
        (HEADER + "33,Fran\0ce,0.09,0,1,1\n", "not a CSV file in UTF-8"),
        ("prefix;price_per_minute\n33;0,09\n", "Are columns separated as chosen?"),
    ],
)
def test_explains_why_a_file_is_not_a_deck(
    clerk: Client, prices: PriceList, file: str | bytes, message: str
) -> None:
    assert message in preview(clerk, prices, file)


def test_optional_columns_may_be_missing(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, "\ufeffPrefix , price_per_minute\n*,0.5\n44,0.12\n")
    confirm(clerk, page)

    anywhere = prices.rates.get(prefix="")
    assert (anywhere.price_per_minute, anywhere.initial_increment) == (Decimal("0.5"), 1)
    assert prices.rates.get(prefix="44").destination == "UK"


def test_the_preview_escapes_the_file(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, f"{HEADER}33,<script>alert(1)</script>,0.09,0,1,1\n")

    assert "<script>alert" not in page


@pytest.mark.parametrize("lacks", ["add_rate", "change_rate", "delete_rate"])
def test_importing_requires_all_permissions(prices: PriceList, lacks: str) -> None:
    client = staff(*(name for name in MAY if name != lacks))

    assert client.get(IMPORT).status_code == 403
    assert client.post(CONFIRM).status_code == 403
    assert "Import a deck" not in client.get("/admin/poketalk_server/rate/").content.decode()


def test_importing_an_exported_deck_changes_nothing(clerk: Client, prices: PriceList) -> None:
    response = clerk.get(f"/admin/poketalk_server/rate/export/{prices.pk}/")

    csv = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert csv.count("\n") == 3
    assert "The file changes nothing." in preview(clerk, prices, csv, delete_missing="on")


def test_a_large_deck_takes_few_queries(
    prices: PriceList, django_assert_max_num_queries: Any
) -> None:
    csv = HEADER + "".join(f"44{n},Somewhere,0.1,0,1,1\n" for n in range(1000, 4000))

    with django_assert_max_num_queries(1):
        assert compare(prices, csv).counts == {"new": 3000}
    with django_assert_max_num_queries(30):  # savepoints, and one for each batch
        assert import_deck(prices, csv).counts == {"new": 3000}
    assert prices.rates.count() == 3002
    assert compare(prices, csv).unchanged == 3000


def test_imports_a_gateways_buy_rates(prices: PriceList) -> None:
    carrier = ServiceProvider.objects.create(name="Carrier")
    trunk = Gateway.objects.create(provider=carrier, name="Trunk", kind="simulated")
    other = Gateway.objects.create(provider=carrier, name="Other", kind="simulated")
    BuyRate.objects.create(gateway=trunk, prefix="44", price_per_minute=Decimal("0.05"))
    BuyRate.objects.create(gateway=other, prefix="44", price_per_minute=9)
    buyer = staff("add_buyrate", "change_buyrate", "delete_buyrate", "view_buyrate")
    file = SimpleUploadedFile("rates.csv", b"prefix,price_per_minute\n44,0.06\n*,1\n", "text/csv")

    answer = buyer.post(IMPORT_BUYING, {"owner": trunk.pk, "import_file": file, "format": "0"})
    page = answer.content.decode()
    assert "Changes to the rates of Carrier: Trunk" in page
    assert figures(page) == [1, 1, 0, 0]
    assert buy_deck(trunk) == {"44": Decimal("0.05")}
    answer = buyer.post(CONFIRM_BUYING, confirm_form(page), follow=True)

    assert answer.redirect_chain[-1][0].endswith(f"/buyrate/?gateway__id__exact={trunk.pk}")
    assert buy_deck(trunk) == {"44": Decimal("0.06"), "": Decimal(1)}
    assert buy_deck(other) == {"44": Decimal(9)}
    assert deck(prices) == {"44": Decimal("0.12"), "49": Decimal("0.10")}
    export = buyer.get(f"/admin/poketalk_server/buyrate/export/{trunk.pk}/")
    lines = b"".join(export.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert lines.splitlines()[1:] == [
        "*,,1.000000,0.000000,1,1,0.000000,",
        "44,,0.060000,0.000000,1,1,0.000000,",
    ]


def test_rates_and_buy_rates_require_separate_permissions(clerk: Client, prices: PriceList) -> None:
    """A deck that was previewed as rates cannot be imported as buy rates."""
    carrier = ServiceProvider.objects.create(name="Carrier")
    trunk = Gateway.objects.create(pk=prices.pk, provider=carrier, name="Trunk", kind="simulated")
    assert clerk.get(IMPORT_BUYING).status_code == 403
    assert clerk.get(f"/admin/poketalk_server/buyrate/export/{trunk.pk}/").status_code == 403
    both = staff(*MAY, "add_buyrate", "change_buyrate", "delete_buyrate", "view_buyrate")
    page = preview(both, prices, HEADER + "44,UK,0.5,0,1,1\n")
    assert "Check the file again" in confirm(both, page, CONFIRM_BUYING)
    assert not BuyRate.objects.exists()


def test_rates_work_without_import_export() -> None:
    code = """
import sys
sys.modules["import_export"] = None
import django
django.setup()
from django.contrib import admin
from django_poketalk.server.models import BuyRate, Rate
for model in (Rate, BuyRate):
    assert admin.site._registry[model].check() == []
    name = model._meta.model_name
    pages = {url.name for url in admin.site._registry[model].get_urls()}
    assert f"poketalk_server_{name}_changelist" in pages
    assert not pages & {f"poketalk_server_{name}_{page}" for page in ("import", "export")}
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_list_names_the_rate_for_all_numbers_as_a_deck_does(
    clerk: Client, prices: PriceList
) -> None:
    rate = Rate.objects.create(price_list=prices, price_per_minute=1)

    answer = clerk.get(page(Rate, "changelist")).content.decode()

    assert re.findall(rf'/rate/{rate.pk}/change/">([^<]*)</a>', answer)[0] == "*"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("33", ["33", "331"]),
        ("+33", ["33", "331"]),
        ("331", ["331"]),
        ("PARIS", ["331"]),
        ("kingdom united", ["44"]),
        ("États", ["1"]),
        ("5", []),
    ],
)
def test_rates_are_found_by_the_beginning_of_a_prefix_or_by_destination(
    prices: PriceList, admin_client: Client, query: str, found: list[str]
) -> None:
    prices.rates.all().delete()
    names = {"1": "États-Unis", "33": "France", "331": "Paris 3", "44": "United Kingdom"}
    for prefix, destination in names.items():
        prices.rates.create(prefix=prefix, destination=destination, price_per_minute=1)

    listed = admin_client.get(page(Rate, "changelist"), {"q": query}).context["cl"].queryset

    assert [rate.prefix for rate in listed] == found
