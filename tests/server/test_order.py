"""The order in which a request is checked, so that outsiders learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    BlacklistedNumber,
    Call,
    Gateway,
    Rate,
    ServiceProvider,
)

from .conftest import CALLEE, Customer

D = Decimal


def _faults(
    customer: Customer, is_inactive: bool = True
) -> list[tuple[str, Callable[[dict[str, Any]], None]]]:
    """Each fault with its response code, in the order in which they are checked."""

    def blacklist() -> None:
        BlacklistedNumber.objects.create(number=CALLEE)

    def no_provider() -> None:
        if is_inactive:
            ServiceProvider.objects.update(is_active=False)
        else:
            Account.objects.update(provider=None)

    return [
        ("10", lambda form: form.update(api_key="")),
        ("20", lambda form: form.update({"from_": ""})),
        ("30", lambda form: form.update(to="")),
        ("40", lambda form: form.setdefault("api_key", "wrong")),
        ("100", lambda form: AllowedAddress.objects.all().delete()),
        ("400", lambda form: form.update(custom="x" * 256)),
        ("50", lambda form: no_provider()),
        ("60", lambda form: blacklist()),
        ("70", lambda form: Gateway.objects.update(is_active=False)),
        ("90", lambda form: Rate.objects.all().delete()),
    ]


@pytest.mark.parametrize("is_inactive", [True, False], ids=["inactive", "none"])
@pytest.mark.parametrize("second", range(10))
@pytest.mark.parametrize("first", range(10))
def test_of_two_faults_reports_the_one_that_is_checked_first(
    customer: Customer, first: int, second: int, is_inactive: bool
) -> None:
    faults = _faults(customer, is_inactive)
    form: dict[str, Any] = {}
    for _answer, make in (faults[first], faults[second]):
        make(form)
    response = customer.post(**form)
    code = "400" if response.status_code == 400 else response.content.decode()
    assert code == faults[min(first, second)][0]
    assert not Call.objects.exists()


def test_reports_all_faults_one_after_the_other(customer: Customer) -> None:
    for answer, _make in _faults(customer):
        form: dict[str, Any] = {}
        later = [make for code, make in _faults(customer) if code == answer or _after(code, answer)]
        for make in later:
            make(form)
        response = customer.post(**form)
        code = "400" if response.status_code == 400 else response.content.decode()
        assert code == answer
        _repair(customer)


def _after(code: str, answer: str) -> bool:
    order = ["10", "20", "30", "40", "100", "400", "50", "60", "70", "90"]
    return order.index(code) > order.index(answer)


def _repair(customer: Customer) -> None:
    AllowedAddress.objects.all().delete()
    AllowedAddress.objects.create(account=customer.account, network="127.0.0.1")
    ServiceProvider.objects.update(is_active=True)
    BlacklistedNumber.objects.all().delete()
    Gateway.objects.update(is_active=True)
    Rate.objects.all().delete()
    Rate.objects.create(price_list=customer.price_list, price_per_minute=D("0.60"))


@pytest.mark.parametrize(
    "bad",
    [
        {"from_": "123"},
        {"to": "0044207946012"},
        {"custom": "x" * 256},
        {"custom": "a\nb"},
        {"eventurl": "ftp://example.com/"},
        {"eventurl": "http://10.0.0.1/"},
    ],
)
def test_outsiders_do_not_learn_about_malformed_fields(
    customer: Customer, bad: dict[str, str]
) -> None:
    assert customer.request_call(api_key="wrong", **bad) == "40"
    customer.client.defaults["REMOTE_ADDR"] = "203.0.113.9"
    assert customer.request_call(**bad) == "100"


@pytest.mark.parametrize("zeros", ["0", "00"])
def test_a_trunk_zero_does_not_bypass_an_expensive_rate(customer: Customer, zeros: str) -> None:
    dear = Rate.objects.create(
        price_list=customer.price_list, prefix="44909", price_per_minute=D("3.00")
    )
    Gateway.objects.update(prefixes="44 1")

    assert customer.request_call(to=f"44{zeros}9098790000") == "00"

    call = Call.objects.get()
    assert (call.to_number, call.rate_b) == ("449098790000", dear)
