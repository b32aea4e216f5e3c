"""Each file of `billing/decks`, imported as an operator does: by the admin's pages and by the
command, as rates of a price list and as buy rates of a gateway.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from django_poketalk.server.models import BuyRate, Gateway, PriceList, Rate, ServiceProvider

from ..staff import page, staff
from .decks import MAY, confirm_form

pytestmark = pytest.mark.django_db

FOLDER = Path(__file__).parents[1] / "billing" / "decks"
Terms = dict[str, tuple[str, str, str, int, int]]
READ: dict[str, Terms] = {
    "plain": {
        "44": ("United Kingdom", "0.12", "0.05", 60, 6),
        "33": ("France", "0.1", "0", 1, 1),
    },
    "all_numbers": {
        "44": ("UK", "0.12", "0", 1, 1),
        "": ("Everything else", "5.55", "0", 1, 1),
    },
    "zeros_behind_six_decimals": {"33": ("France", "0.018", "0.05", 1, 1)},
    "empty_rows_at_the_end": {"33": ("France", "0.01", "0", 1, 1)},
    "destinations_of_a_formula": {
        "1": ("+1 North America", "0.01", "0", 1, 1),
        "7": ("-other", "0.02", "0", 1, 1),
    },
}
REFUSED = {
    "prefixes_with_00": ([2, 3], "never with 0"),
    "prefixes_with_011": ([3], "never with 0"),
    "total_without_prefix": ([3], "Only * is for all numbers"),
    "plus_alone": ([2], "Only * is for all numbers"),
    "star_before_digits": ([2], "“*33” is not a prefix"),
    "columns_nobody_reads": ([1], "Connect Cost, Initial Increment, Increment"),
    "from_a_later_day": ([1], "effective_date"),
    "wrong_row_behind_blank_lines": ([5], "“bad” is not a number"),
    "wrong_rows_far_down": ([12, 22], "“0;05” is not a number"),
}
LINE = re.compile(r"\bLines? (\d+(?:, \d+)*)")
Owner = PriceList | Gateway


def content(name: str) -> bytes:
    return (FOLDER / f"{name}.csv").read_bytes()


def stored(owner: Owner) -> Terms:
    return {
        rate.prefix: (
            rate.destination,
            f"{rate.price_per_minute.normalize():f}",
            f"{rate.connect_fee.normalize():f}",
            rate.initial_increment,
            rate.subsequent_increment,
        )
        for rate in owner.rates.all()
    }


def lines(text: str) -> list[int]:
    """The lines of the file that a text names."""
    return [int(line) for found in LINE.findall(text) for line in found.split(", ")]


@pytest.fixture(params=[PriceList, Gateway])
def owner(request: pytest.FixtureRequest) -> Owner:
    """With a rate that every file could change or delete."""
    found: Owner
    if request.param is PriceList:
        found = PriceList.objects.create(name="Prices")
    else:
        provider = ServiceProvider.objects.create(name="Carrier")
        found = Gateway.objects.create(provider=provider, name="Trunk", kind="simulated")
    found.rates.create(prefix="44", destination="Before", price_per_minute=Decimal("0.07"))
    return found


@pytest.fixture
def client() -> Client:
    buying = (name.replace("rate", "buyrate") for name in MAY)
    return staff(*MAY, *buying)


def preview(client: Client, owner: Owner, data: bytes) -> str:
    """The page with the changes, or with what is wrong; as text with its tags."""
    form = {
        "owner": owner.pk,
        "import_file": SimpleUploadedFile("rates.csv", data, "text/csv"),
        "format": "0",
        "delete_missing": "on",
    }
    response = client.post(page(model_of(owner), "import"), form)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def model_of(owner: Owner) -> type[Any]:
    return Rate if isinstance(owner, PriceList) else BuyRate


def by_pages(client: Client, owner: Owner, data: bytes) -> str:
    """Preview it, and import it if that is offered. Returns the preview."""
    found = preview(client, owner, data)
    if "import_file_name" in found:
        form = confirm_form(found)
        client.post(page(model_of(owner), "process_import"), form, follow=True)
    return found


def by_command(client: Client, owner: Owner, data: bytes, folder: Path) -> str:
    """Import it by the command, and return its output or its error."""
    file = folder / "deck.csv"
    file.write_bytes(data)
    whose = (
        ["--price-list", owner.name]
        if isinstance(owner, PriceList)
        else ["--gateway", owner.provider.name, owner.name]
    )
    out = io.StringIO()
    options = ("--checked", "--delete-missing")
    try:
        call_command("poketalk_import_rates", str(file), *whose, *options, stdout=out)
    except CommandError as error:
        return str(error)
    return out.getvalue()


@pytest.fixture(params=["pages", "command"])
def run(
    request: pytest.FixtureRequest, client: Client, owner: Owner, tmp_path: Path, settings: Any
) -> Callable[[bytes], str]:
    """Import these contents of a file in one of the two ways."""
    settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = "import_export.tmp_storages.CacheStorage"
    if request.param == "pages":
        return lambda data: by_pages(client, owner, data)
    return lambda data: by_command(client, owner, data, tmp_path)


def test_every_file_has_its_expectation() -> None:
    assert {path.stem for path in FOLDER.glob("*.csv")} == {*READ, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_is_read(run: Callable[[bytes], str], owner: Owner, name: str) -> None:
    output = run(content(name))

    assert stored(owner) == READ[name]
    assert lines(output) == []
    for prefix, (_destination, price, *_rest) in READ[name].items():
        if not prefix:
            assert f"a rate for all other numbers: {price} per minute." in output


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_the_line_and_the_reason(
    run: Callable[[bytes], str], owner: Owner, name: str
) -> None:
    before = stored(owner)
    wrong, words = REFUSED[name]

    output = run(content(name))

    assert stored(owner) == before
    assert "import_file_name" not in output
    assert lines(output) == wrong
    assert words in output


@pytest.mark.parametrize("name", READ)
def test_importing_the_export_changes_nothing(
    run: Callable[[bytes], str], client: Client, owner: Owner, name: str
) -> None:
    run(content(name))
    before = list(owner.rates.order_by("pk").values())
    export: Any = client.get(page(model_of(owner), "export", owner.pk))
    exported = b"".join(export.streaming_content)

    output = run(exported)

    assert list(owner.rates.order_by("pk").values()) == before
    assert f"{len(before)} unchanged" in output or "The file changes nothing." in output
    assert not [cell for cell in exported.decode().split(",") if cell.startswith(("+", "-", "="))]


@pytest.mark.parametrize("prefix", ["0044", "011", "+"])
def test_the_forms_refuse_the_same_prefixes(
    admin_client: Client, owner: Owner, prefix: str
) -> None:
    form = {
        model_of(owner).owner_field: owner.pk,
        "prefix": prefix,
        "price_per_minute": "1",
        "connect_fee": "0",
        "minimum_charge": "0",
        "initial_increment": "1",
        "subsequent_increment": "1",
    }

    response = admin_client.post(page(model_of(owner), "add"), form)

    assert list(response.context["adminform"].form.errors) == ["prefix"]
    assert owner.rates.count() == 1
