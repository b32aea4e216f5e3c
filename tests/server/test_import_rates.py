"""`poketalk_import_rates` imports a deck as the admin does."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_poketalk.server.models import Gateway, PriceList, Rate, ServiceProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def price_list() -> PriceList:
    price_list = PriceList.objects.create(name="Prices")
    for prefix, price in (("44", "0.12"), ("49", "0.10")):
        Rate.objects.create(price_list=price_list, prefix=prefix, price_per_minute=Decimal(price))
    return price_list


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deck.csv"


def run(*args: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command("poketalk_import_rates", *args, stdout=out, **options)
    return out.getvalue()


def prices(owner: PriceList | Gateway) -> dict[str, Decimal]:
    return dict(owner.rates.values_list("prefix", "price_per_minute"))


def test_imports_and_undoes(price_list: PriceList, file: Path) -> None:
    before = prices(price_list)
    file.write_text("prefix;price_per_minute\n44;0,15\n33;0,1\n")
    args = (str(file), "--price-list", "Prices", "--dialect", "semicolons", "--delete-missing")

    planned = run(*args, "--dry-run")
    assert prices(price_list) == before
    done = run(*args)

    assert planned == done
    assert "44: changed, 0.12 + 0, 1/1 → 0.15 + 0, 1/1 (+25.0 %)" in done
    assert "49: deleted, 0.1 + 0, 1/1" in done
    assert "1 new, 1 changed, 1 deleted, 0 unchanged." in done
    assert prices(price_list) == {"44": Decimal("0.15"), "33": Decimal("0.1")}
    assert "1 new, 1 changed, 1 deleted" in run("--price-list", "Prices", "--undo")
    assert prices(price_list) == before
    with pytest.raises(CommandError, match="no import to undo"):
        run("--price-list", "Prices", "--undo")


def test_marked_rates_must_be_checked(price_list: PriceList, file: Path) -> None:
    carrier = ServiceProvider.objects.create(name="Carrier")
    Gateway.objects.create(provider=carrier, name="Trunk", kind="simulated")
    file.write_text("prefix,price_per_minute\n*,1\n")
    args = (str(file), "--gateway", "Carrier", "Trunk")

    with pytest.raises(CommandError, match="Check the marked rates"):
        run(*args)
    assert prices(carrier.gateways.get()) == {}
    assert "!" in run(*args, "--checked")

    assert prices(carrier.gateways.get()) == {"": Decimal(1)}


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        ("prefix,price_per_minute\n44,x\n", (), "Line 2: price_per_minute: “x” is not a number."),
        ("prefix,price_per_minute,currency\n44,1,EUR\n", (), "about money: currency"),
        ("prefix,price_per_minute\n44,1\n", ("--undo",), "either a file or --undo"),
    ],
)
def test_refuses_what_the_admin_refuses(
    price_list: PriceList, file: Path, text: str, args: tuple[str, ...], message: str
) -> None:
    file.write_text(text)

    with pytest.raises(CommandError, match=message):
        run(str(file), "--price-list", "Prices", *args)
    assert prices(price_list)["44"] == Decimal("0.12")


@pytest.mark.parametrize(
    "owner", [("--provider", "Nobody"), ("--gateway", "Carrier", "Nobody"), ()]
)
def test_requires_an_owner_that_exists(
    price_list: PriceList, file: Path, owner: tuple[str, ...]
) -> None:
    file.write_text("prefix,price_per_minute\n44,1\n")

    with pytest.raises(CommandError):
        run(str(file), *owner)


def test_imports_a_deck_for_a_later_day(price_list: PriceList, file: Path) -> None:
    file.write_text("prefix,price_per_minute\n44,0.13\n")
    args = (str(file), "--price-list", "Prices", "--delete-missing")

    done = run(*args, "--valid-from", "2026-06-08")

    assert "44, from 2026-06-08: new, 0.12 + 0, 1/1 → 0.13 + 0, 1/1 (+8.3 %)" in done
    assert price_list.rates.count() == 3
    with pytest.raises(CommandError, match="is not a day"):
        run(*args, "--valid-from", "8.6.2026")
