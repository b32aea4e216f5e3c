"""A price list with a deck, and who imports another."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client

from django_poketalk.server.models import PriceList, Rate

from ..staff import staff
from .decks import MAY


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files between preview and import."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def prices() -> PriceList:
    prices = PriceList.objects.create(name="Prices")
    Rate.objects.create(
        price_list=prices, prefix="44", destination="UK", price_per_minute=Decimal("0.12")
    )
    Rate.objects.create(
        price_list=prices, prefix="49", destination="Germany", price_per_minute=Decimal("0.10")
    )
    return prices


@pytest.fixture
def clerk(stored: Path) -> Client:  # whose files go there
    return staff(*MAY)
