"""The extension behind the callee's number (`x_to_extension`), from the request to the plan."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from django_poketalk.server.models import Account, BlacklistedNumber, Call, Gateway, Rate
from django_poketalk.server.switch.machine.facts_and_commands import Route
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims

from .conftest import CALLEE, PATH, Customer
from .staff import staff

NOBODY = "No gateway can dial an extension."


def sip(customer: Customer, **fields: object) -> Gateway:
    return Gateway.objects.create(
        **{
            "provider": customer.provider,
            "name": f"trunk {Gateway.objects.count()}",
            "kind": "sip",
            "host": "127.0.0.1",
            **fields,
        }
    )


@pytest.mark.parametrize("extension", ["1", "12", "ww1,2", "0" * 32])
def test_digits_and_pauses_are_stored_with_the_call(customer: Customer, extension: str) -> None:
    assert customer.request_call(x_to_extension=extension) == "00"
    assert Call.objects.get().to_extension == extension


@pytest.mark.parametrize(
    "extension", ["12a", "*12", "12#", "w,w", " 12", "12\n", "１２", "+12", "0" * 33, "1;2"]
)
def test_anything_else_is_malformed(customer: Customer, extension: str) -> None:
    assert customer.bad_request(x_to_extension=extension) == (
        "x_to_extension must be digits, with w or , for pauses, and at most 32 characters."
    )
    assert not Call.objects.exists()


def test_a_field_that_appears_twice_is_malformed(customer: Customer) -> None:
    form = customer.form() | {"x_to_extension": ["1", "2"]}
    response = customer.client.post(PATH, form)
    assert (response.status_code, Call.objects.count()) == (400, 0)


def test_a_call_without_extension_needs_no_gateway_that_can_dial_one(customer: Customer) -> None:
    Gateway.objects.all().delete()
    sip(customer)
    assert customer.request_call() == "00"


def test_an_extension_that_no_gateway_can_dial_is_refused_before_anybody_is_rung(
    customer: Customer,
) -> None:
    Gateway.objects.all().delete()
    sip(customer)
    assert customer.bad_request(x_to_extension="12") == NOBODY
    assert not Call.objects.exists()
    sip(customer, dtmf="info", is_active=False)
    sip(customer, dtmf="info", prefixes="49")
    assert customer.bad_request(x_to_extension="12") == NOBODY
    sip(customer, dtmf="info")
    assert customer.request_call(x_to_extension="12") == "00"


def test_leg_a_needs_a_gateway_of_the_kind_that_dials_the_extension(customer: Customer) -> None:
    """Only gateways of one kind can be bridged."""
    Gateway.objects.all().delete()
    sip(customer)
    Gateway.objects.create(
        provider=customer.provider, name="phones", kind="simulated", prefixes=CALLEE
    )
    assert customer.bad_request(x_to_extension="12") == NOBODY


def test_routes_come_before_the_extension_and_money_after_it(customer: Customer) -> None:
    Gateway.objects.all().delete()
    assert customer.request_call(x_to_extension="12") == "70"
    sip(customer)
    Rate.objects.all().delete()
    assert customer.bad_request(x_to_extension="12") == NOBODY


def test_rates_and_the_blacklist_apply_to_the_number_alone(customer: Customer) -> None:
    BlacklistedNumber.objects.create(number=CALLEE)
    assert customer.request_call(x_to_extension="12") == "60"


def test_a_blacklist_entry_blocks_the_number_without_its_extension(db: None) -> None:
    entry = BlacklistedNumber.objects.create(number="+1 202 555 0123 ext. 12")
    assert entry.number == CALLEE
    with pytest.raises(ValidationError):
        BlacklistedNumber.objects.create(number="ext. 12")
    assert not Account.objects.exists()


def planned(kinds: tuple[str, ...]) -> tuple[tuple[Route, ...], tuple[Route, ...]]:
    [claimed] = claims.claim("switch", 1, GatewayAvailability(kinds)).calls
    return claimed.plan.routes_a, claimed.plan.routes_b


def test_only_gateways_that_can_dial_it_are_planned(customer: Customer) -> None:
    customer.gateway.delete()
    plain, info = sip(customer, priority=1), sip(customer, priority=2, dtmf="info")
    assert customer.request_call(x_to_extension="12") == "00"
    routes_a, routes_b = planned(("sip",))
    assert [route.gateway for route in routes_a] == [plain.pk, info.pk]
    assert [route.gateway for route in routes_b] == [info.pk]


def test_leg_a_is_not_planned_through_a_kind_that_cannot_dial_it(customer: Customer) -> None:
    sip(customer, priority=1)
    assert customer.request_call(x_to_extension="12") == "00"
    routes_a, routes_b = planned(("sip", "simulated"))
    assert [route.gateway for route in routes_a] == [customer.gateway.pk]
    assert [route.gateway for route in routes_b] == [customer.gateway.pk]


def test_nobody_is_planned_if_the_gateway_has_gone_in_the_meantime(customer: Customer) -> None:
    gateway = sip(customer, dtmf="info")
    customer.gateway.delete()
    assert customer.request_call(x_to_extension="12") == "00"
    Gateway.objects.filter(pk=gateway.pk).update(dtmf="")
    assert planned(("sip",)) == ((), ())


def test_names_of_calls_mask_the_extension(customer: Customer) -> None:
    call = customer.new_call(to_extension="12")
    assert str(call).endswith(" ext. ••")
    call.shows_numbers = True
    assert str(call).endswith("+1 202-555-0123 ext. 12")


def test_a_blacklist_entry_names_the_extension_that_it_ignores(customer: Customer) -> None:
    clerk = staff("add_blacklistednumber", "view_blacklistednumber", "view_numbers")
    path = "/admin/poketalk_server/blacklistednumber/add/"

    answer = clerk.post(path, {"number": "+44 20 7946 0777 ext. 12"}, follow=True)

    assert "Extension 12 was ignored" in answer.content.decode()
    assert BlacklistedNumber.objects.get().number == "442079460777"
    prefix = {"number": "+4420", "is_prefix": "on"}
    assert "was ignored" not in clerk.post(path, prefix, follow=True).content.decode()
