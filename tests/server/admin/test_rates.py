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

from django_poketalk.server.billing import rate_decks
from django_poketalk.server.models import BuyRate, Gateway, Rate, ServiceProvider

from ..staff import staff
from .decks import (
    CONFIRM,
    CONFIRM_BUYING,
    HEADER,
    IMPORT,
    IMPORT_BUYING,
    MAY,
    buy_deck,
    confirm,
    confirm_form,
    deck,
    import_deck,
    preview,
)

pytestmark = pytest.mark.django_db


def test_the_preview_writes_nothing(clerk: Client, carrier: ServiceProvider) -> None:
    csv = HEADER + "44,UK,0.12,0,1,1\n49,Germany,0.2,0,1,1\n33,France,0.09,0.01,60,6\n"

    page = preview(clerk, carrier, csv)

    figures = re.findall(r"<dd>(\d+)</dd>", page)
    assert figures == ["1", "1", "0", "1", "0"]  # new, changed, deleted, unchanged, wrong
    assert len(deck(carrier)) == 2

    assert "1 new, 1 changed, 0 deleted, 1 unchanged" in confirm(clerk, page)
    assert deck(carrier) == {"44": Decimal("0.12"), "49": Decimal("0.2"), "33": Decimal("0.09")}
    france = carrier.rates.get(prefix="33")
    assert (france.connect_fee, france.initial_increment) == (Decimal("0.01"), 60)
    assert LogEntry.objects.get().object_id == str(carrier.pk)


def test_deletes_missing_rates_only_on_request(clerk: Client, carrier: ServiceProvider) -> None:
    csv = HEADER + "44,UK,0.12,0,1,1\n"

    assert "The file changes nothing." in preview(clerk, carrier, csv)
    confirm(clerk, preview(clerk, carrier, csv, delete_missing="on"))

    assert deck(carrier) == {"44": Decimal("0.12")}


def test_an_import_keeps_the_rates_of_other_providers(
    clerk: Client, carrier: ServiceProvider
) -> None:
    other = ServiceProvider.objects.create(name="Other")
    Rate.objects.create(provider=other, prefix="44", price_per_minute=9)

    page = preview(clerk, carrier, HEADER + "44,UK,0.5,0,1,1\n", delete_missing="on")
    confirm(clerk, page)

    assert deck(other) == {"44": Decimal(9)}
    assert deck(carrier) == {"44": Decimal("0.5")}


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
        ("4" * 16 + ",UK,0.1,0,1,1", "prefix"),
        ("44,UK,1234567890,0,1,1", "price_per_minute"),
    ],
)
def test_names_an_invalid_row_and_imports_nothing(
    clerk: Client, carrier: ServiceProvider, row: str, message: str
) -> None:
    page = preview(clerk, carrier, f"{HEADER}33,France,0.09,0,1,1\n{row}\n")

    assert re.search(rf"Row 2: .*{message}", page)
    assert 'name="import_file_name"' not in page
    result = import_deck(carrier, f"{HEADER}33,France,0.09,0,1,1\n{row}\n")
    assert [number for number, _words in result.errors] == [2]
    assert "33" not in deck(carrier)


def test_rejects_a_repeated_prefix(clerk: Client, carrier: ServiceProvider) -> None:
    page = preview(clerk, carrier, f"{HEADER}33,France,0.09,0,1,1\n+33,France,0.08,0,1,1\n")

    assert "Row 2: prefix: This prefix is in the file twice." in page


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "empty"),
        ("prefix,price\n1,2\n", "price_per_minute"),
        (HEADER, "The file has no rows."),
        ("prefix,price_per_minute, Prefix\n1,2,3\n", "names a column twice: prefix."),
        (HEADER + "1,,1,0,1,1\n" * (rate_decks.MAX_ROWS + 1), "A deck has at most 50000 rows."),
        (b"\xff\xfe\x00", "not UTF-8"),
        (HEADER + "33,Fran\0ce,0.09,0,1,1\n", "Null characters are not allowed."),
        ("prefix;price_per_minute\n33;0,09\n", "Separate columns with commas."),
    ],
)
def test_explains_why_a_file_is_not_a_deck(
    clerk: Client, carrier: ServiceProvider, file: str | bytes, message: str
) -> None:
    assert message in preview(clerk, carrier, file)


def test_optional_columns_may_be_missing(clerk: Client, carrier: ServiceProvider) -> None:
    page = preview(clerk, carrier, "\ufeffPrefix , price_per_minute\n*,0.5\n44,0.12\n")
    confirm(clerk, page)

    anywhere = carrier.rates.get(prefix="")
    assert (anywhere.price_per_minute, anywhere.initial_increment) == (Decimal("0.5"), 1)
    assert carrier.rates.get(prefix="44").destination == "UK"


def test_the_preview_escapes_the_file(clerk: Client, carrier: ServiceProvider) -> None:
    page = preview(clerk, carrier, f"{HEADER}33,<script>alert(1)</script>,0.09,0,1,1\n")

    assert "<script>alert" not in page


@pytest.mark.parametrize("lacks", ["add_rate", "change_rate", "delete_rate"])
def test_importing_requires_all_permissions(carrier: ServiceProvider, lacks: str) -> None:
    client = staff(*(name for name in MAY if name != lacks))

    assert client.get(IMPORT).status_code == 403
    assert client.post(CONFIRM).status_code == 403
    assert "Import a deck" not in client.get("/admin/poketalk_server/rate/").content.decode()


def test_importing_an_exported_deck_changes_nothing(
    clerk: Client, carrier: ServiceProvider
) -> None:
    response = clerk.get(f"/admin/poketalk_server/rate/export/{carrier.pk}/")

    csv = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert csv.count("\n") == 3
    assert "The file changes nothing." in preview(clerk, carrier, csv, delete_missing="on")


def test_a_large_deck_takes_few_queries(
    carrier: ServiceProvider, django_assert_max_num_queries: Any
) -> None:
    csv = HEADER + "".join(f"44{n},Somewhere,0.1,0,1,1\n" for n in range(1000, 4000))

    with django_assert_max_num_queries(30):  # savepoints, one for each batch
        assert import_deck(carrier, csv, is_preview=True).totals["new"] == 3000
    with django_assert_max_num_queries(60):
        assert import_deck(carrier, csv).totals["new"] == 3000
    assert carrier.rates.count() == 3002
    assert import_deck(carrier, csv, is_preview=True).totals["skip"] == 3000


def test_imports_a_gateways_buy_rates(carrier: ServiceProvider) -> None:
    trunk = Gateway.objects.create(provider=carrier, name="Trunk", kind="simulated")
    other = Gateway.objects.create(provider=carrier, name="Other", kind="simulated")
    BuyRate.objects.create(gateway=trunk, prefix="44", price_per_minute=Decimal("0.05"))
    BuyRate.objects.create(gateway=other, prefix="44", price_per_minute=9)
    buyer = staff("add_buyrate", "change_buyrate", "delete_buyrate", "view_buyrate")
    file = SimpleUploadedFile("rates.csv", b"prefix,price_per_minute\n44,0.06\n*,1\n", "text/csv")

    answer = buyer.post(IMPORT_BUYING, {"owner": trunk.pk, "import_file": file, "format": "0"})
    page = answer.content.decode()
    assert "Changes to the rates of Carrier: Trunk" in page
    assert re.findall(r"<dd>(\d+)</dd>", page) == ["1", "1", "0", "0", "0"]
    assert buy_deck(trunk) == {"44": Decimal("0.05")}
    answer = buyer.post(CONFIRM_BUYING, confirm_form(page), follow=True)

    assert answer.redirect_chain[-1][0].endswith(f"/buyrate/?gateway__id__exact={trunk.pk}")
    assert buy_deck(trunk) == {"44": Decimal("0.06"), "": Decimal(1)}
    assert buy_deck(other) == {"44": Decimal(9)}
    assert deck(carrier) == {"44": Decimal("0.12"), "49": Decimal("0.10")}
    export = buyer.get(f"/admin/poketalk_server/buyrate/export/{trunk.pk}/")
    lines = b"".join(export.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert lines.splitlines()[1:] == [",,1.000000,0.000000,1,1", "44,,0.060000,0.000000,1,1"]


def test_rates_and_buy_rates_require_separate_permissions(
    clerk: Client, carrier: ServiceProvider
) -> None:
    """A deck that was previewed as rates cannot be imported as buy rates."""
    trunk = Gateway.objects.create(pk=carrier.pk, provider=carrier, name="Trunk", kind="simulated")
    assert clerk.get(IMPORT_BUYING).status_code == 403
    assert clerk.get(f"/admin/poketalk_server/buyrate/export/{trunk.pk}/").status_code == 403
    both = staff(*MAY, "add_buyrate", "change_buyrate", "delete_buyrate", "view_buyrate")
    page = preview(both, carrier, HEADER + "44,UK,0.5,0,1,1\n")
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
