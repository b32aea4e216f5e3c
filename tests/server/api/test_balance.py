"""The query API: an account reads its balance."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, AllowedAddress, Call

from .. import money
from ..conftest import Customer, make_customer

BALANCE = "/api/balance/"


def get(customer: Customer, secret: str | None = None) -> Any:
    headers = {"Authorization": f"Api-Key {secret or customer.secret}"}
    return customer.client.get(BALANCE, headers=headers)


def test_the_balance_with_what_is_held_and_what_can_be_spent(
    customer: Customer, queued: Callable[..., Call]
) -> None:
    make_customer("Other", balance="7")
    Account.objects.filter(pk=customer.account.pk).update(
        credit_limit=Decimal(20), low_balance_at=Decimal(100)
    )
    money.charge(queued(hold=Decimal(2)), Decimal("0.5"), Decimal("0.001"))
    queued(hold=Decimal("1.5"))

    response = get(customer)

    assert response.status_code == 200
    assert response.json() == {
        "currency": "EUR",
        "balance": "99.499",
        "held": "1.500",
        "spendable": "117.999",
        "credit_limit": "20.000",
        "low": True,
        "low_balance_at": "100.000",
    }
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("most", "spendable"), [("10", "7.500"), ("2", "0.000"), ("200", "97.500")]
)
def test_the_limit_per_day_limits_what_can_be_spent(
    customer: Customer, queued: Callable[..., Call], most: str, spendable: str
) -> None:
    queued(hold=Decimal("2.5"))
    Account.objects.update(max_spend_per_day=Decimal(most))
    assert get(customer).json()["spendable"] == spendable


def test_without_a_threshold_no_balance_is_low(customer: Customer) -> None:
    ledger.adjust(customer.account, Decimal(-100))
    body = get(customer).json()
    assert (body["balance"], body["low"], body["low_balance_at"]) == ("0.000", False, None)


def test_the_rules_are_those_of_the_calls(customer: Customer) -> None:
    assert get(customer, secret="unknown").status_code == 401
    assert customer.client.post(BALANCE).status_code == 401
    with override_settings(
        REST_FRAMEWORK={"DEFAULT_THROTTLE_RATES": {"poketalk_query": "1/day"}},
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    ):
        assert get(customer).status_code == 200
        throttled = get(customer)
    assert throttled.status_code == 429
    assert throttled["Content-Type"] == "application/problem+json"
    AllowedAddress.objects.all().delete()
    refused = get(customer)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


def test_the_balance_takes_few_queries(
    customer: Customer, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(4):
        get(customer)
