"""Presented numbers in the admin, and test calls to extensions."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry

from django_poketalk.server.models import Gateway, PresentedNumber, TestCall

from ..conftest import Customer
from ..staff import staff

pytestmark = pytest.mark.django_db

PAGES = "/admin/poketalk_server/presentednumber/"
NUMBER = "442079460777"
GROUPED = "+44\N{NO-BREAK SPACE}20\N{NO-BREAK SPACE}7946\N{NO-BREAK SPACE}0777"
MAY = ("view_presentednumber", "change_presentednumber", "add_presentednumber", "view_account")


def test_a_number_is_added_in_any_format(customer: Customer) -> None:
    form = {"account": customer.account.pk, "number": "+44 (0)20 7946 0777", "label": "Sales"}

    assert staff(*MAY).post(f"{PAGES}add/", form).status_code == 302

    entry = PresentedNumber.objects.get()
    assert (entry.number, entry.verified_at) == (NUMBER, None)


def test_a_number_is_verified_in_the_list(customer: Customer) -> None:
    entry = PresentedNumber.objects.create(account=customer.account, number=NUMBER)
    order = {"action": "verify", "_selected_action": [entry.pk]}

    assert staff("view_presentednumber").post(PAGES, order).status_code == 200  # no such action
    entry.refresh_from_db()
    assert entry.verified_at is None
    staff(*MAY).post(PAGES, order)

    entry.refresh_from_db()
    assert entry.verified_at is not None
    assert LogEntry.objects.get().change_message == "Marked as verified."
    first = entry.verified_at
    staff(*MAY).post(PAGES, order)
    entry.refresh_from_db()
    assert entry.verified_at == first


def test_a_verified_number_cannot_become_another(customer: Customer) -> None:
    entry = PresentedNumber.objects.create(account=customer.account, number=NUMBER)
    form = {"account": 0, "number": "442079460888", "label": "Sales"}

    for client in (staff(*MAY), staff(*MAY, "view_numbers")):
        assert client.post(f"{PAGES}{entry.pk}/change/", form).status_code == 302

    entry.refresh_from_db()
    assert (entry.number, entry.account, entry.label) == (NUMBER, customer.account, "Sales")


def test_whole_numbers_require_the_permission(customer: Customer) -> None:
    entry = PresentedNumber.objects.create(account=customer.account, number=NUMBER)

    for path in (PAGES, f"{PAGES}{entry.pk}/change/"):
        masked = staff(*MAY).get(path).content.decode()
        assert NUMBER not in masked
        assert GROUPED not in masked
        assert GROUPED in staff(*MAY, "view_numbers").get(path).content.decode()


@pytest.mark.parametrize(
    ("numbers", "number", "is_made"),
    [
        ("internal", "1001", True),
        ("both", "1001", True),
        ("external", "1001", False),
        ("internal", "911", False),
    ],
)
def test_a_test_call_rings_an_extension(
    customer: Customer, numbers: str, number: str, is_made: bool
) -> None:
    Gateway.objects.update(numbers=numbers)
    form = {"gateway": customer.gateway.pk, "number": number}

    staff("add_testcall", "view_testcall", "view_gateway").post(
        "/admin/poketalk_server/testcall/add/", form
    )

    assert list(TestCall.objects.values_list("number", flat=True)) == [number] * is_made


def test_a_new_default_replaces_the_former_one(customer: Customer) -> None:
    first = PresentedNumber.objects.create(account=customer.account, number=NUMBER, is_default=True)
    form = {"account": customer.account.pk, "number": "+442079460888", "is_default": "on"}

    assert staff(*MAY).post(f"{PAGES}add/", form).status_code == 302

    first.refresh_from_db()
    assert not first.is_default
    assert PresentedNumber.objects.get(number="442079460888").is_default
