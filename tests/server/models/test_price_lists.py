"""Currencies of price lists and accounts."""

from __future__ import annotations

import pytest
from babel.core import get_global
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError

from django_poketalk.server.models import PriceList
from django_poketalk.server.models.currencies import CURRENCIES

from ..conftest import Customer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("code", ["EUR", "USD", "XOF", "XCG"])
def test_currencies_of_iso_4217_are_accepted(code: str) -> None:
    PriceList(name="Prices", currency=code).full_clean()


@pytest.mark.parametrize("code", ["eur", "€", "XXX", "DEM", "BTC", "EU", ""])
def test_others_are_refused(code: str) -> None:
    with pytest.raises(ValidationError, match="currency"):
        PriceList(name="Prices", currency=code).full_clean()


def test_the_currencies_are_those_that_the_cldr_knows_as_legal_tender() -> None:
    """The CLDR is a source of its own, which Babel brings. Two currencies of ISO 4217 are no legal
    tender in it: El Salvador's colón, which circulates no longer, and Venezuela's digital bolívar.
    """
    tender = {
        code
        for currencies in get_global("territory_currencies").values()
        for code, _since, until, is_tender in currencies
        if is_tender and until is None
    }

    assert CURRENCIES - tender == {"SVC", "VED"}
    assert tender - CURRENCIES == set()


def test_an_accounts_currency_is_that_of_its_list(customer: Customer) -> None:
    account, prices = customer.account, customer.price_list
    account.price_list = PriceList.objects.create(name="Dollars", currency="USD")
    with pytest.raises(ValidationError, match="are in USD, the account is in EUR"):
        account.full_clean()
    prices.currency = "USD"
    with pytest.raises(ValidationError, match="Accounts in another currency"):
        prices.full_clean()


def test_a_list_that_accounts_use_cannot_be_deleted(customer: Customer) -> None:
    with pytest.raises(ProtectedError):
        customer.price_list.delete()
