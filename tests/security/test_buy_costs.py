"""What calls cost us, and the margin, require a permission of their own."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client

from django_poketalk.server.admin.legs import BUY_COSTS
from django_poketalk.server.models import Call, Leg
from tests.server.conftest import Customer
from tests.server.staff import page, staff

pytestmark = pytest.mark.django_db
VIEWS = ("view_leg", "view_call", "view_ledgerentry", "view_account", "view_numbers")
# What appears nowhere else on a page: the buy price, the buy cost and the margin
FIGURES = ["0.654321", "31.337", "20.004"]
WORDS = ["buy price", "buy connect fee", "buy cost", "margin"]


@pytest.fixture
def leg(customer: Customer) -> Leg:
    call = customer.new_call(state=Call.State.ENDED)
    call.save()
    return Leg.objects.create(
        call=call,
        side="A",
        gateway=customer.gateway,
        number="12025550123",
        price_per_minute=Decimal(1),
        connect_fee=Decimal(0),
        initial_increment=1,
        subsequent_increment=1,
        cost=Decimal("51.341"),
        buy_price_per_minute=Decimal("0.654321"),
        buy_connect_fee=Decimal(0),
        buy_initial_increment=1,
        buy_subsequent_increment=1,
        buy_cost=Decimal("31.337"),
    )


def texts(client: Client, leg: Leg) -> str:
    """All pages and files with facts about the leg."""
    account = leg.call.account_id
    urls = [
        page(Leg, "changelist"),
        page(Leg, "change", leg.pk),
        page(Leg, "history", leg.pk),
        page(Call, "changelist"),
        page(Call, "change", leg.call_id),
        page(type(leg.call.account), "change", account),
        page(type(leg.call.account), "statement", account),
        page(type(leg.call.account), "statement", account) + "?format=csv",
    ]
    responses = [client.get(url) for url in urls]
    action = {"action": "export_csv", "_selected_action": [leg.pk]}
    responses.append(client.post(page(Leg, "changelist"), action))
    assert {response.status_code for response in responses} == {200}
    return "".join(
        (response.getvalue() if response.streaming else response.content).decode().lower()
        for response in responses
    )


def test_without_the_permission_nothing_is_displayed(leg: Leg) -> None:
    text = texts(staff(*VIEWS), leg)

    assert "51.341" in text
    assert [word for word in [*FIGURES, *WORDS, "buy_"] if word in text] == []


def test_with_the_permission_all_is_displayed(leg: Leg) -> None:
    text = texts(staff(*VIEWS, "view_buy_costs"), leg)

    assert [word for word in [*FIGURES, *WORDS, "buy_cost"] if word not in text] == []


@pytest.mark.parametrize("name", [name for name in BUY_COSTS if name != "margin"])
def test_no_filter_finds_them(leg: Leg, name: str) -> None:
    lookup = {f"{name}__gte": "0"}

    assert staff(*VIEWS).get(page(Leg, "changelist"), lookup).status_code == 400
    allowed = staff(*VIEWS, "view_buy_costs").get(page(Leg, "changelist"), lookup)
    assert allowed.status_code == 200


def test_they_are_no_columns_to_sort_by(leg: Leg) -> None:
    changelist = page(Leg, "changelist")
    for column in range(15):
        response = staff(*VIEWS).get(changelist, {"o": str(column)})
        assert "buy_" not in str(response.context["cl"].queryset.query).split("ORDER BY")[1]
