"""Calls from internal numbers, such as the extensions of a customer's PBX."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from django_poketalk.protocol import numbers
from django_poketalk.server.models import BlacklistedNumber, BuyRate, Call, Gateway, Rate
from django_poketalk.server.switch.machine.facts_and_commands import Side
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import plan

from .admin import decks
from .conftest import CALLEE, Customer

pytestmark = pytest.mark.django_db

EXTENSION = "4412"  # which begins like a British number


@pytest.fixture
def office(customer: Customer) -> Customer:
    """A customer who may call from internal numbers, through a PBX, at 0.06 a minute."""
    customer.account.internal_numbers = True
    customer.account.save()
    gateway(customer, "pbx", numbers="internal")
    internal_rate(customer)
    return customer


def gateway(customer: Customer, name: str, **facts: Any) -> Gateway:
    return Gateway.objects.create(provider=customer.provider, name=name, kind="simulated", **facts)


def internal_rate(customer: Customer, prefix: str = "", price: str = "0.06") -> Rate:
    return Rate.objects.create(
        price_list=customer.price_list,
        is_internal=True,
        prefix=prefix,
        price_per_minute=Decimal(price),
    )


def gateways_of(call: Call) -> dict[Side, list[int]]:
    call.claimed_at = call.created_at  # type: ignore[attr-defined]
    [claimed] = plan.plan_calls([call], GatewayAvailability(["simulated"]), 1)
    return {
        Side.A: [route.gateway for route in claimed.plan.routes_a],
        Side.B: [route.gateway for route in claimed.plan.routes_b],
    }


@pytest.mark.parametrize("extension", ["10", "4412", "0100", "123456", "00"])
def test_an_internal_number_is_accepted_as_it_is(office: Customer, extension: str) -> None:
    assert office.request_call(from_=extension) == "00"

    assert Call.objects.get().from_number == extension


@pytest.mark.parametrize(
    "text",
    ["1", "1234567", "12 34", "+4412", "12a4", "١٠٠١", "1001\n", "10-01"],
)
def test_other_short_numbers_are_refused(office: Customer, text: str) -> None:
    answer = office.post(from_=text)

    assert answer.status_code == 400 or answer.content == b"20"
    assert not Call.objects.exists()


@pytest.mark.parametrize("number", ["112", "911", "999", "000"])
def test_an_emergency_number_is_nobodys_extension(office: Customer, number: str) -> None:
    assert "emergency" in office.bad_request(from_=number)


def test_an_account_needs_permission_for_internal_numbers(customer: Customer) -> None:
    internal_rate(customer)
    gateway(customer, "pbx", numbers="internal")

    assert EXTENSION in customer.bad_request(from_=EXTENSION)


def test_an_internal_number_cannot_be_called(office: Customer) -> None:
    assert EXTENSION in office.bad_request(to=EXTENSION)


def test_internal_numbers_go_by_internal_gateways_only(office: Customer) -> None:
    office.request_call(from_=EXTENSION)
    pbx = Gateway.objects.get(name="pbx")

    assert gateways_of(Call.objects.get()) == {Side.A: [pbx.pk], Side.B: [office.gateway.pk]}


def test_there_is_no_way_to_an_internal_number_without_such_a_gateway(office: Customer) -> None:
    Gateway.objects.filter(name="pbx").update(numbers="external")
    assert office.request_call(from_=EXTENSION) == "70"

    Gateway.objects.update(numbers="internal")
    assert office.request_call(from_=EXTENSION) == "70"  # now there is none to the callee
    assert office.request_call() == "70"


def test_a_gateway_for_both_reaches_both(office: Customer) -> None:
    Gateway.objects.filter(name="pbx").delete()
    Gateway.objects.update(numbers="both", prefixes="1")  # of phone numbers only
    office.request_call(from_=EXTENSION)

    both = [office.gateway.pk]
    assert gateways_of(Call.objects.get()) == {Side.A: both, Side.B: both}


def test_prefixes_of_an_internal_gateway_are_those_of_extensions(office: Customer) -> None:
    Gateway.objects.filter(name="pbx").update(prefixes="44 20")

    assert office.request_call(from_="4412") == "00"
    assert office.request_call(from_="2012") == "00"
    assert office.request_call(from_="3012") == "70"


def test_an_internal_number_costs_what_its_rate_says(office: Customer) -> None:
    Rate.objects.create(price_list=office.price_list, prefix="44", price_per_minute=9)
    dear = internal_rate(office, "44", "0.30")
    assert office.request_call(from_=EXTENSION) == "00"
    assert Call.objects.get().rate_a == dear

    dear.delete()
    office.request_call(from_=EXTENSION)
    assert Call.objects.latest().rate_a.price_per_minute == Decimal("0.06")  # type: ignore[union-attr]


def test_prefixes_of_phone_numbers_never_rate_internal_numbers(office: Customer) -> None:
    Rate.objects.filter(is_internal=True).delete()
    Rate.objects.create(price_list=office.price_list, prefix="44", price_per_minute=9)

    assert office.request_call(from_=EXTENSION) == "90"


def test_prefixes_of_internal_numbers_never_rate_phone_numbers(office: Customer) -> None:
    office.rate.delete()
    internal_rate(office, "12")
    internal_rate(office, CALLEE[:6])

    assert office.request_call(from_=EXTENSION) == "90"


def test_buy_rates_tell_the_kinds_apart_too(office: Customer) -> None:
    pbx = Gateway.objects.get(name="pbx")
    Gateway.objects.update(numbers="both")
    BuyRate.objects.create(gateway=pbx, prefix="44", price_per_minute=Decimal(5))
    BuyRate.objects.create(gateway=pbx, prefix="4", price_per_minute=1, is_internal=True)
    office.request_call(from_=EXTENSION)
    call = Call.objects.get()
    call.claimed_at = call.created_at  # type: ignore[attr-defined]

    [claimed] = plan.plan_calls([call], GatewayAvailability(["simulated"]), 100)

    assert claimed.buy_tariffs[Side.A, pbx.pk].price_per_minute == 1
    assert (Side.B, pbx.pk) not in claimed.buy_tariffs


def test_prefixes_on_the_blacklist_match_no_internal_number(office: Customer) -> None:
    BlacklistedNumber.objects.create(number="44", is_prefix=True)

    assert office.request_call(from_=EXTENSION) == "00"
    assert office.request_call(from_="442079460000") == "60"


def test_internal_numbers_are_displayed_as_they_are(office: Customer) -> None:
    assert numbers.display(EXTENSION) == EXTENSION
    assert numbers.mask(EXTENSION) == "••12"
    assert numbers.mask("12") == "••"


@pytest.mark.parametrize(("prefix", "is_internal"), [("0100", True), ("", True), ("44", False)])
def test_the_prefix_of_a_rate_is_valid_for_its_kind(
    office: Customer, prefix: str, is_internal: bool
) -> None:
    Rate.objects.all().delete()
    Rate(
        price_list=office.price_list, prefix=prefix, is_internal=is_internal, price_per_minute=1
    ).full_clean()


@pytest.mark.parametrize(("prefix", "is_internal"), [("0100", False), ("1234567", True)])
def test_other_prefixes_are_refused(office: Customer, prefix: str, is_internal: bool) -> None:
    rate = Rate(
        price_list=office.price_list, prefix=prefix, is_internal=is_internal, price_per_minute=1
    )
    with pytest.raises(ValidationError) as refused:
        rate.full_clean()
    assert set(refused.value.message_dict) == {"prefix"}
    kind = "internal" if is_internal else "external"
    pbx = Gateway(provider=office.provider, name="x", kind="simulated", prefixes=prefix)
    pbx.numbers = kind
    with pytest.raises(ValidationError) as refused:
        pbx.full_clean()
    assert set(refused.value.message_dict) == {"prefixes"}


def test_a_deck_has_a_column_for_internal_rates(office: Customer) -> None:
    header = "prefix,price_per_minute,is_internal\n"

    result = decks.import_deck(office.price_list, f"{header}44,0.10,0\n44,0.01,yes\n0100,0.02,1\n")

    assert result.wrong == []
    stored = set(office.price_list.rates.values_list("is_internal", "prefix"))
    assert stored >= {(False, "44"), (True, "44"), (True, "0100"), (True, "")}
    result = decks.import_deck(office.price_list, f"{header}0100,0.10,0\n44,0.10,perhaps\n")
    assert [each.line for each in result.wrong] == [2, 3]


def test_a_carriers_deck_leaves_internal_rates_alone(office: Customer) -> None:
    decks.import_deck(office.price_list, "prefix,price_per_minute\n44,0.10\n", delete_missing=True)

    stored = set(office.price_list.rates.values_list("is_internal", "prefix"))
    assert stored == {(False, "44"), (True, "")}
