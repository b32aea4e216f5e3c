"""The number that the callee's phone displays: chosen by the call, the account or the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from django_poketalk.server.models import Call, Gateway, PresentedNumber
from django_poketalk.server.switch.machine.facts_and_commands import Side
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import plan

from .conftest import CALLEE, CALLER, Customer, make_customer

pytestmark = pytest.mark.django_db

SALES, SUPPORT = "442079460111", "442079460222"


def present(customer: Customer, number: str, **facts: Any) -> PresentedNumber:
    facts = {"verified_at": timezone.now()} | facts
    return PresentedNumber.objects.create(account=customer.account, number=number, **facts)


def stored(customer: Customer, **form: Any) -> str:
    assert customer.request_call(**form) == "00"
    return Call.objects.latest().presented_number


@pytest.mark.parametrize("text", [SALES, f"+{SALES}", "+44 20 7946 0111"])
def test_a_call_chooses_a_number_of_its_account(customer: Customer, text: str) -> None:
    present(customer, SALES)

    assert stored(customer, x_caller_id=text) == SALES


def test_numbers_of_others_unknown_and_unverified_ones_get_the_same_answer(
    customer: Customer,
) -> None:
    present(make_customer("Other"), SALES)
    present(customer, SUPPORT, verified_at=None, is_default=True)

    answers = {customer.bad_request(x_caller_id=text) for text in (SALES, SUPPORT, CALLER)}

    assert answers == {"x_caller_id is not a verified number of this account."}
    assert not Call.objects.exists()


@pytest.mark.parametrize("text", ["Sales", "12", f"{SALES}\r\nX-Evil: 1", "<sip:1@x>"])
def test_a_text_that_is_no_number_is_refused(customer: Customer, text: str) -> None:
    customer.bad_request(x_caller_id=text)

    assert not Call.objects.exists()


def test_the_default_of_the_account_is_for_calls_that_choose_none(customer: Customer) -> None:
    assert stored(customer) == ""

    present(customer, SALES)
    assert stored(customer) == ""
    present(customer, SUPPORT, is_default=True)
    assert stored(customer) == SUPPORT
    assert stored(customer, x_caller_id=SALES) == SALES


def test_an_account_has_at_most_one_default(customer: Customer) -> None:
    first = present(customer, SALES, is_default=True)
    other = present(make_customer("Other"), SALES, is_default=True)

    present(customer, SUPPORT, is_default=True)

    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.is_default, other.is_default) == (False, True)


@pytest.mark.skipif(
    not connection.features.supports_partial_indexes, reason="MariaDB has no such index"
)
def test_the_database_refuses_a_second_default(customer: Customer) -> None:
    present(customer, SALES, is_default=True)
    present(customer, SUPPORT)
    present(make_customer("Other"), SALES, is_default=True)

    with pytest.raises(IntegrityError), transaction.atomic():
        PresentedNumber.objects.update(is_default=True)


def test_a_field_that_appears_twice_is_refused(customer: Customer) -> None:
    present(customer, SALES)

    assert "x_caller_id" in customer.bad_request(x_caller_id=[SALES, SALES])


def caller_ids(call: Call) -> dict[Side, str]:
    """What each party's phone displays, by the call's plan."""
    call.claimed_at = call.created_at  # type: ignore[attr-defined]
    [claimed] = plan.plan_calls([call], GatewayAvailability(["sip"]), 1)
    displayed = {}
    for side, routes in ((Side.A, claimed.plan.routes_a), (Side.B, claimed.plan.routes_b)):
        assert routes[0].trunk is not None
        dialed, other = claimed.number(side), claimed.number(side.other)
        displayed[side] = routes[0].trunk.caller_id_for(other, dialed)
    return displayed


def call_through(
    customer: Customer, *, presented: str = "", caller: str = CALLER, **facts: Any
) -> Call:
    Gateway.objects.update(kind="sip", host="trunk.example.com", **facts)
    call = customer.new_call(presented_number=presented, from_number=caller)
    call.save()
    return call


def test_each_party_sees_the_others_number(customer: Customer) -> None:
    assert caller_ids(call_through(customer)) == {Side.A: CALLEE, Side.B: CALLER}


@pytest.mark.parametrize("caller_id", ["other", "fixed", "anonymous"])
def test_only_the_callee_sees_the_presented_number(customer: Customer, caller_id: str) -> None:
    gateway_says = {"other": CALLEE, "fixed": SUPPORT, "anonymous": "anonymous"}

    call = call_through(customer, presented=SALES, caller_id=caller_id, caller_number=SUPPORT)

    assert caller_ids(call) == {Side.A: gateway_says[caller_id], Side.B: SALES}


@pytest.mark.parametrize(
    ("facts", "presented", "displayed"),
    [
        ({}, "", "anonymous"),
        ({"caller_number": SUPPORT}, "", SUPPORT),
        ({"caller_id": "fixed", "caller_number": SUPPORT}, "", SUPPORT),
        ({"caller_id": "anonymous", "caller_number": SUPPORT}, "", "anonymous"),
        ({}, SALES, SALES),
    ],
)
def test_the_callee_never_sees_a_bare_extension(
    customer: Customer, facts: dict[str, Any], presented: str, displayed: str
) -> None:
    call = call_through(customer, presented=presented, caller="1001", numbers="both", **facts)

    assert caller_ids(call)[Side.B] == displayed


def test_an_extension_is_rung_as_it_is_and_sees_the_callee(customer: Customer) -> None:
    call = call_through(customer, caller="1001", numbers="both", strip_digits=2, add_prefix="+44")

    assert caller_ids(call)[Side.A] == f"+{CALLEE}"
    trunk = Gateway.objects.get().trunk
    assert trunk is not None
    assert trunk.dial_string("1001") == "1001"
