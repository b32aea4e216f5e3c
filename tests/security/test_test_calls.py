"""Test calls are free, so they are limited: by rates, by the blacklist, and by the hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.server.models import Account, BlacklistedNumber, Gateway, Rate, TestCall
from tests.server.conftest import CALLEE, Customer
from tests.server.staff import staff

pytestmark = pytest.mark.django_db
ADD = "/admin/poketalk_server/testcall/add/"


@pytest.fixture
def tester(customer: Customer) -> Client:
    return staff("add_testcall", "view_testcall", "view_gateway")


def refusal(tester: Client, customer: Customer, number: str = f"+{CALLEE}") -> str:
    """The errors of the form, or "" if the test call was made."""
    response = tester.post(ADD, {"gateway": customer.gateway.pk, "number": number})
    if response.status_code == 302:
        return ""
    errors: Any = response.context["adminform"].form.non_field_errors()
    return " ".join(errors)


def test_a_number_on_the_blacklist_of_all_is_not_rung(tester: Client, customer: Customer) -> None:
    other = Account.objects.create(name="Other")
    BlacklistedNumber.objects.create(number=CALLEE, account=other)
    assert refusal(tester, customer) == ""

    BlacklistedNumber.objects.create(number=CALLEE[:4], is_prefix=True)

    assert refusal(tester, customer) == "This number is on the blacklist."
    assert TestCall.objects.count() == 1


def test_a_number_without_a_rate_is_not_rung(tester: Client, customer: Customer) -> None:
    Rate.objects.update(prefix="44")

    said = refusal(tester, customer)

    assert said == "No price list has a rate for this number."
    assert refusal(tester, customer, "+442079460123") == ""


def test_an_internal_number_needs_no_rate(tester: Client, customer: Customer) -> None:
    Gateway.objects.update(numbers="both")
    Rate.objects.all().delete()

    assert refusal(tester, customer, "1001") == ""


def test_there_are_only_so_many_in_an_hour(
    tester: Client, customer: Customer, settings: Any
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "TEST_CALLS_PER_HOUR": 2}
    other = Gateway.objects.create(provider=customer.provider, name="other", kind="simulated")
    TestCall.objects.create(gateway=other, number=CALLEE)
    assert refusal(tester, customer) == ""

    assert refusal(tester, customer) == "Too many test calls in the last hour. Try again later."

    TestCall.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert refusal(tester, customer) == ""
