"""Names of calls, legs, test calls and blacklisted numbers in the admin contain whole numbers only
for users who may see them, and masked ones in the history.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client

from django_poketalk.protocol import numbers
from django_poketalk.server.models import (
    Account,
    BlacklistedNumber,
    Call,
    EventDelivery,
    LedgerEntry,
    Leg,
    PresentedNumber,
    TestCall,
)

from ..conftest import CALLEE, CALLER, Customer

pytestmark = pytest.mark.django_db

ADMIN = "/admin/poketalk_server"
FROM, TO = numbers.display(CALLER), numbers.display(CALLEE)
NAMES = {"call": f"{FROM} → {TO}", "leg": f"A1 {FROM}", "blacklistednumber": TO, "testcall": TO}

Rows = dict[str, Model]


@pytest.fixture
def rows(customer: Customer, queued: Callable[..., Call]) -> Rows:
    call = queued(Decimal(1))
    tariff = {"price_per_minute": 1, "connect_fee": 0}
    tariff |= {"initial_increment": 1, "subsequent_increment": 1}
    leg = Leg.objects.create(call=call, side="A", gateway=customer.gateway, number=CALLER, **tariff)
    delivery = EventDelivery.objects.create(
        call=call, sequence=1, status=1, duration=0, cost=0, sent_at=call.created_at, seconds=0.1
    )
    charge = LedgerEntry.objects.create(
        account=customer.account, kind="charge", amount=-1, balance=99, call=call, side="A"
    )
    return {
        "call": call,
        "leg": leg,
        "eventdelivery": delivery,
        "ledgerentry": charge,
        "blacklistednumber": BlacklistedNumber.objects.create(
            number=CALLEE, account=customer.account
        ),
        "presentednumber": PresentedNumber.objects.create(account=customer.account, number=CALLEE),
        "testcall": TestCall.objects.create(gateway=customer.gateway, number=CALLEE),
    }


def reader(sees: bool) -> Client:
    """The client of a member of staff with all permissions, with or without that to see numbers."""
    user = get_user_model().objects.create_user(f"sees {sees}", is_staff=True)
    may = Permission.objects.filter(content_type__app_label="poketalk_server")
    user.user_permissions.set(may if sees else may.exclude(codename="view_numbers"))
    client = Client()
    client.force_login(user)
    return client


def read(client: Client, path: str, data: Any = None) -> str:
    response = client.get(path) if data is None else client.post(path, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def contains_a_number(html: str) -> bool:
    return any(number in re.sub(r"\W", "", html) for number in (CALLER, CALLEE))


@pytest.mark.parametrize("view", ["change", "history"])
@pytest.mark.parametrize("model", NAMES)
def test_titles_and_breadcrumbs_contain_numbers_only_with_permission(
    rows: Rows, model: str, view: str
) -> None:
    path = f"{ADMIN}/{model}/{rows[model].pk}/{view}/"
    assert not contains_a_number(read(reader(False), path))
    html = read(reader(True), path)
    crumbs = re.search(r'<(ol|div) class="breadcrumbs">.*?</\1>', html, re.DOTALL)
    assert crumbs
    assert NAMES[model] in crumbs[0]
    assert html.count(NAMES[model]) > 1
    assert "•" not in html


@pytest.mark.parametrize("model", ["leg", "ledgerentry", "eventdelivery"])
def test_related_rows_contain_numbers_only_with_permission(rows: Rows, model: str) -> None:
    path = f"{ADMIN}/{model}/{rows[model].pk}/change/"
    assert not contains_a_number(read(reader(False), path))
    html = read(reader(True), path)
    assert NAMES["call"] in html
    assert "•" not in html


def test_the_list_of_event_deliveries_contains_numbers_only_with_permission(rows: Rows) -> None:
    path = f"{ADMIN}/eventdelivery/"
    assert not contains_a_number(read(reader(False), path))
    html = read(reader(True), path)
    assert NAMES["call"] in html
    assert "•" not in html


def test_the_page_of_a_call_contains_numbers_of_legs_only_with_permission(rows: Rows) -> None:
    path = f"{ADMIN}/call/{rows['call'].pk}/change/"
    assert not contains_a_number(read(reader(False), path))
    assert NAMES["leg"] in read(reader(True), path)


@pytest.mark.parametrize("model", ["call", "blacklistednumber"])
def test_labels_of_checkboxes_contain_numbers_only_with_permission(rows: Rows, model: str) -> None:
    assert not contains_a_number(read(reader(False), f"{ADMIN}/{model}/"))
    label = f"Select this object for an action - {NAMES[model]}"
    assert label in read(reader(True), f"{ADMIN}/{model}/")


@pytest.mark.parametrize("model", ["blacklistednumber", "account"])
def test_delete_pages_contain_numbers_only_with_permission(rows: Rows, model: str) -> None:
    account = Account.objects.create(name="New", currency="EUR")
    BlacklistedNumber.objects.update(account=account)
    pk = account.pk if model == "account" else rows[model].pk
    masking, seeing = reader(False), reader(True)
    for path, data in (
        (f"{ADMIN}/{model}/{pk}/delete/", None),
        (f"{ADMIN}/{model}/", {"action": "delete_selected", "_selected_action": pk}),
    ):
        masked, whole = read(masking, path, data), read(seeing, path, data)
        assert "•" in masked
        assert not contains_a_number(masked)
        assert NAMES["blacklistednumber"] in whole
        assert "•" not in whole


@pytest.mark.parametrize("sees", [False, True])
def test_messages_contain_numbers_only_with_permission_and_the_history_never(
    rows: Rows, sees: bool
) -> None:
    client = reader(sees)
    form = {"number": CALLER, "reason": "Requested"}
    added = read(client, f"{ADMIN}/blacklistednumber/add/", form)
    entry = BlacklistedNumber.objects.get(number=CALLER)
    page = f"{ADMIN}/blacklistednumber/{entry.pk}"
    changed = read(client, f"{page}/change/", form)
    deleted = read(client, f"{page}/delete/", {"post": "yes"})
    for html in (added, changed, deleted):
        message = re.search(r'<ul class="messagelist">.*?</ul>', html, re.DOTALL)
        assert message
        assert (FROM in message[0]) is sees
        assert ("•" in message[0]) is not sees
    logged = LogEntry.objects.values_list("object_repr", flat=True)
    assert len(logged) == 3
    assert all("•" in name and not contains_a_number(name) for name in logged)


def test_the_history_masks_numbers_in_the_label_of_a_presented_number(customer: Customer) -> None:
    label = f"Office, also {TO}"
    form = {"account": customer.account.pk, "number": CALLER, "label": label}
    client = reader(False)
    read(client, f"{ADMIN}/presentednumber/add/", form)
    entry = PresentedNumber.objects.get()

    read(client, f"{ADMIN}/presentednumber/{entry.pk}/delete/", {"post": "yes"})

    logged = LogEntry.objects.values_list("object_repr", flat=True)
    assert len(logged) == 2
    assert all("Office, also" in name and not contains_a_number(name) for name in logged)
