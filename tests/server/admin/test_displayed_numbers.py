"""Pages display phone numbers grouped, and inputs, files and masks do not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from django_poketalk.server.models import (
    BlacklistedNumber,
    Call,
    Gateway,
    Leg,
    PresentedNumber,
    TestCall,
)

from ..conftest import Customer
from ..staff import page, staff

pytestmark = pytest.mark.django_db

NUMBER, GROUPED = "442079460700", "+44 20 7946 0700"
OTHER, OTHER_GROUPED = "12025550123", "+1 202-555-0123"
INTERNAL = "1001"
MODELS = [Call, Leg, TestCall, PresentedNumber, BlacklistedNumber]


def bdi(number: str) -> str:
    """How a page writes a number: on one line, left to right."""
    unbroken = number.replace(" ", "\N{NO-BREAK SPACE}")
    return f'<bdi dir="ltr">{unbroken}</bdi>'


@pytest.fixture
def call(customer: Customer) -> Call:
    """A row of each model with this number."""
    call = customer.new_call(
        from_number=NUMBER, to_number=OTHER, to_extension="12", presented_number=NUMBER
    )
    call.save()
    for side, number in (("A", NUMBER), ("B", OTHER)):
        call.legs.create(
            side=side, gateway=customer.gateway, number=number, price_per_minute=1,
            connect_fee=0, initial_increment=1, subsequent_increment=1,
        )  # fmt: skip
    TestCall.objects.create(gateway=customer.gateway, number=NUMBER)
    PresentedNumber.objects.create(account=customer.account, number=NUMBER)
    BlacklistedNumber.objects.create(number=NUMBER)
    return call


def viewer(*others: str) -> Client:
    """Somebody who may view everything and change nothing."""
    views = [f"view_{model._meta.model_name}" for model in (*MODELS, Gateway)]
    return staff(*views, "view_account", *others)


def cells(html: str) -> str:
    """The page without its inputs."""
    return re.sub(r"<input[^>]*>", "", html)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("language", ["en", "he"])
def test_numbers_are_grouped(call: Call, model: type[Any], language: str, settings: Any) -> None:
    settings.LANGUAGE_CODE = language
    row = model.objects.order_by("pk").first()
    client = viewer("view_numbers")
    for address in (page(model, "changelist"), page(model, "change", row.pk)):
        html = client.get(address).content.decode()

        assert bdi(GROUPED) in html, address
        assert NUMBER not in cells(html), address


def test_the_page_of_a_call_groups_all_of_its_numbers(call: Call) -> None:
    html = viewer("view_numbers").get(page(Call, "change", call.pk)).content.decode()

    assert html.count(bdi(GROUPED)) == 3  # from, presented, leg A
    assert html.count(bdi(OTHER_GROUPED)) == 2  # to, leg B
    assert '<div class="readonly">12</div>' in html
    assert OTHER not in cells(html)
    assert "What leg B displays" in html  # the field's help text


@pytest.mark.parametrize("model", MODELS)
def test_masked_numbers_stay_masked(call: Call, model: type[Any]) -> None:
    row = model.objects.order_by("pk").first()
    client = viewer()
    for address in (page(model, "changelist"), page(model, "change", row.pk)):
        html = client.get(address).content.decode()

        assert bdi(f"+44 {'•' * 8}00") in html, address
        assert "7946" not in html, address


def test_numbers_that_are_not_international_stay_as_they_are(customer: Customer) -> None:
    for number in (INTERNAL, "999123456789012"):
        TestCall.objects.create(gateway=customer.gateway, number=number)

    html = viewer("view_numbers").get(page(TestCall, "changelist")).content.decode()

    assert bdi(INTERNAL) in html
    assert bdi("999123456789012") in html


def test_lists_are_sorted_by_the_digits_and_found_in_any_spelling(customer: Customer) -> None:
    for number in (NUMBER, OTHER):
        PresentedNumber.objects.create(account=customer.account, number=number)
    client = viewer("view_numbers", "change_presentednumber")  # with a column for the action
    address = page(PresentedNumber, "changelist")

    up = client.get(address, {"o": "1"}).content.decode()
    down = client.get(address, {"o": "-1"}).content.decode()
    found = client.get(address, {"q": "+44 (0)20 7946"}).content.decode()

    assert up.index(bdi(OTHER_GROUPED)) < up.index(bdi(GROUPED))
    assert down.index(bdi(GROUPED)) < down.index(bdi(OTHER_GROUPED))
    assert bdi(GROUPED) in found
    assert bdi(OTHER_GROUPED) not in found


def test_inputs_keep_the_digits(customer: Customer) -> None:
    entry = BlacklistedNumber.objects.create(number=NUMBER)
    client = viewer("view_numbers", "change_blacklistednumber")

    html = client.get(page(BlacklistedNumber, "change", entry.pk)).content.decode()

    assert f'name="number" value="{NUMBER}"' in html
    assert bdi(GROUPED) not in html


def test_the_number_of_a_presented_number_is_grouped_beside_its_inputs(customer: Customer) -> None:
    entry = PresentedNumber.objects.create(account=customer.account, number=NUMBER)
    client = viewer("view_numbers", "change_presentednumber")

    html = client.get(page(PresentedNumber, "change", entry.pk)).content.decode()

    assert bdi(GROUPED) in html
    assert 'name="label"' in html
    assert 'name="number"' not in html


@pytest.mark.parametrize("prefix", ["44", "442079460"])
def test_a_blacklisted_prefix_is_displayed_as_one(prefix: str) -> None:
    BlacklistedNumber.objects.create(number=prefix, is_prefix=True)

    html = viewer("view_numbers").get(page(BlacklistedNumber, "changelist")).content.decode()

    assert bdi(f"{prefix}…") in html


def test_the_caller_number_of_a_gateway_is_grouped_unless_it_is_an_input(
    customer: Customer,
) -> None:
    Gateway.objects.update(kind="sip", host="sip.example.com", caller_number=NUMBER)
    address = page(Gateway, "change", customer.gateway.pk)

    displayed = viewer().get(address).content.decode()
    form = viewer("change_gateway").get(address).content.decode()

    assert bdi(GROUPED) in displayed
    assert NUMBER not in displayed
    assert f'value="{NUMBER}"' in form
