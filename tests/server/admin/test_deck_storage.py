"""Temporary storage of rate decks between preview and import."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from django_poketalk.server.admin import deck_forms
from django_poketalk.server.billing.rate_decks import importing
from django_poketalk.server.models import PriceList, Rate

from ..staff import staff
from .decks import CONFIRM, FRANCE, HEADER, MAY, confirm, confirm_form, deck, preview

pytestmark = pytest.mark.django_db


def test_rejects_a_changed_confirm_form(clerk: Client, prices: PriceList) -> None:
    signed = confirm_form(preview(clerk, prices, FRANCE))["import_file_name"]

    for name in (f"{signed}x", "", "/etc/hostname", "hostname"):
        response = clerk.post(CONFIRM, {"import_file_name": name, "format": "0"}, follow=True)

        assert "Check the file again" in response.content.decode()
    assert clerk.get(CONFIRM).status_code == 405
    assert "33" not in deck(prices)


def test_only_the_user_of_the_preview_can_import(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, FRANCE)

    assert "Check the file again" in confirm(staff(*MAY), page)
    assert "33" not in deck(prices)
    assert "1 new" in confirm(clerk, page)


def test_rejects_a_missing_or_changed_temporary_file(
    clerk: Client, prices: PriceList, stored: Path
) -> None:
    page = preview(clerk, prices, FRANCE)
    (file,) = stored.iterdir()
    assert file.stat().st_mode & 0o077 == 0  # not readable by other users

    for other in (FRANCE.replace("0.09", "0.01"), "no deck"):
        file.write_text(other)
        assert "Check the file again" in confirm(clerk, page)
    file.unlink()
    assert "Check the file again" in confirm(clerk, page)
    assert "33" not in deck(prices)


def test_rejects_a_deck_whose_owner_was_deleted(clerk: Client, prices: PriceList) -> None:
    page = preview(clerk, prices, FRANCE)
    prices.delete()

    assert "Check the file again" in confirm(clerk, page)


def test_deletes_temporary_files_that_are_no_longer_needed(
    clerk: Client, prices: PriceList, stored: Path
) -> None:
    preview(clerk, prices, "no deck")
    preview(clerk, prices, HEADER + "33,France,much,0,1,1\n")
    preview(clerk, prices, HEADER + "44,UK,0.12,0,1,1\n")  # changes nothing
    assert not os.listdir(stored)

    page = preview(clerk, prices, FRANCE)
    assert len(os.listdir(stored)) == 1
    confirm(clerk, page)
    assert not os.listdir(stored)


@pytest.mark.parametrize("storage", ["CacheStorage", "MediaStorage"])
def test_the_storage_between_preview_and_import_is_a_setting(
    clerk: Client, prices: PriceList, stored: Path, settings: Any, storage: str
) -> None:
    settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = f"import_export.tmp_storages.{storage}"
    settings.MEDIA_ROOT = stored / "media"

    page = preview(clerk, prices, FRANCE)
    assert "Check the file again" in confirm(staff(*MAY), page)
    assert "1 new" in confirm(clerk, page)
    assert "Check the file again" in confirm(clerk, page)


def test_a_deck_may_exceed_the_limit_of_forms(
    clerk: Client, prices: PriceList, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 6000
    rows = "".join(f"{number},,0.1,0,1,1\n" for number in range(442 * 10**11, 442 * 10**11 + 400))

    assert "400 new" in confirm(clerk, preview(clerk, prices, HEADER + rows))


def test_rejects_a_large_file_without_storing_it(
    clerk: Client, prices: PriceList, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_forms, "MAX_BYTES", 100)

    assert "The file is too large." in preview(clerk, prices, HEADER + "33,France,0.09,0,1,1\n")
    assert not os.listdir(stored)


def test_ignores_the_setting_that_skips_the_preview(
    clerk: Client, prices: PriceList, settings: Any
) -> None:
    settings.IMPORT_EXPORT_SKIP_ADMIN_CONFIRM = True

    assert confirm_form(preview(clerk, prices, FRANCE))
    assert "33" not in deck(prices)


def test_imports_nothing_if_rates_have_changed_since_the_preview(
    clerk: Client, prices: PriceList
) -> None:
    page = preview(clerk, prices, FRANCE + "49,Germany,0.11,0,1,1\n")
    prices.rates.filter(prefix="49").update(price_per_minute=Decimal("0.02"))

    assert "Others have changed rates since the preview" in confirm(clerk, page)
    assert deck(prices) == {"44": Decimal("0.12"), "49": Decimal("0.02")}


def test_imports_nothing_if_somebody_adds_one_of_its_rates_meanwhile(
    clerk: Client, prices: PriceList, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = preview(clerk, prices, FRANCE + "49,Germany,0.11,0,1,1\n")
    write = importing.write

    def write_late(owner: PriceList, changes: Any) -> None:
        Rate.objects.create(price_list=owner, prefix="33", price_per_minute=9)
        write(owner, changes)

    monkeypatch.setattr(importing, "write", write_late)

    assert "somebody else was changing rates at the same time" in confirm(clerk, page)
    assert deck(prices) == {"44": Decimal("0.12"), "49": Decimal("0.10")}
