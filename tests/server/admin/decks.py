"""Helpers for tests of rate decks: files, and the two pages of an import."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from django_poketalk.server.billing import rate_decks
from django_poketalk.server.models import Gateway, Rate, ServiceProvider

IMPORT = "/admin/poketalk_server/rate/import/"
CONFIRM = "/admin/poketalk_server/rate/process_import/"
IMPORT_BUYING = "/admin/poketalk_server/buyrate/import/"
CONFIRM_BUYING = "/admin/poketalk_server/buyrate/process_import/"
HEADER = "prefix,destination,price_per_minute,connect_fee,initial_increment,subsequent_increment\n"
FRANCE = HEADER + "33,France,0.09,0,1,1\n"
MAY = ("add_rate", "change_rate", "delete_rate", "view_rate")


def preview(client: Client, carrier: ServiceProvider, csv: str | bytes, **more: Any) -> str:
    content = csv.encode() if isinstance(csv, str) else csv
    file = SimpleUploadedFile("rates.csv", content, "text/csv")
    data = {"owner": carrier.pk, "import_file": file, "format": "0", **more}
    response = client.post(IMPORT, data)
    assert response.status_code == 200
    return response.content.decode()


def confirm_form(page: str) -> dict[str, str]:
    """The form that the preview's button submits."""
    found = re.search(r'name="import_file_name" value="([^"]+)"', page)
    assert found, page
    return {"import_file_name": found[1]}


def confirm(client: Client, page: str, address: str = CONFIRM) -> str:
    return client.post(address, confirm_form(page), follow=True).content.decode()


def import_deck(
    carrier: ServiceProvider, csv: str, *, is_preview: bool = False
) -> rate_decks.DeckResult:
    dataset = rate_decks.DeckFormat().create_dataset(csv.encode())
    result = rate_decks.resource(Rate)(carrier).import_data(dataset, dry_run=is_preview)
    assert isinstance(result, rate_decks.DeckResult)
    return result


def deck(carrier: ServiceProvider) -> dict[str, Decimal]:
    return dict(carrier.rates.values_list("prefix", "price_per_minute"))


def buy_deck(gateway: Gateway) -> dict[str, Decimal]:
    return dict(gateway.rates.values_list("prefix", "price_per_minute"))
