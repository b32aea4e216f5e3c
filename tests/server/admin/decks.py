"""Helpers for tests of rate decks: files, and the two pages of an import."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from django_poketalk.server.billing.rate_decks import comparison, importing, reading
from django_poketalk.server.billing.rate_decks.comparison import Comparison
from django_poketalk.server.models import Gateway, PriceList

IMPORT = "/admin/poketalk_server/rate/import/"
CONFIRM = "/admin/poketalk_server/rate/process_import/"
IMPORT_BUYING = "/admin/poketalk_server/buyrate/import/"
CONFIRM_BUYING = "/admin/poketalk_server/buyrate/process_import/"
HEADER = "prefix,destination,price_per_minute,connect_fee,initial_increment,subsequent_increment\n"
FRANCE = HEADER + "33,France,0.09,0,1,1\n"
MAY = ("add_rate", "change_rate", "delete_rate", "view_rate")


def preview(client: Client, prices: PriceList, csv: str | bytes, **more: Any) -> str:
    content = csv.encode() if isinstance(csv, str) else csv
    file = SimpleUploadedFile("rates.csv", content, "text/csv")
    data = {"owner": prices.pk, "import_file": file, "format": "0", **more}
    response = client.post(IMPORT, data)
    assert response.status_code == 200
    return response.content.decode()


def confirm_form(page: str) -> dict[str, str]:
    """The form that the preview's button submits, with the marked rates checked."""
    found = re.search(r'name="import_file_name" value="([^"]+)"', page)
    assert found, page
    return {"import_file_name": found[1], "checked": "on"}


def confirm(client: Client, page: str, address: str = CONFIRM) -> str:
    return client.post(address, confirm_form(page), follow=True).content.decode()


def figures(page: str) -> list[int]:
    """How many rates are new, changed, deleted and unchanged."""
    return [int(figure) for figure in re.findall(r"<dd>(\d+)</dd>", page)]


def compare(prices: PriceList, csv: str, *, delete_missing: bool = False) -> Comparison:
    return comparison.compare(prices, reading.read(csv.encode()), delete_missing=delete_missing)


def import_deck(prices: PriceList, csv: str, *, delete_missing: bool = False) -> Comparison:
    return importing.run(prices, reading.read(csv.encode()), delete_missing=delete_missing)


def deck(prices: PriceList) -> dict[str, Decimal]:
    return dict(prices.rates.values_list("prefix", "price_per_minute"))


def buy_deck(gateway: Gateway) -> dict[str, Decimal]:
    return dict(gateway.rates.values_list("prefix", "price_per_minute"))
