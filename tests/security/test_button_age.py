"""A button works for a limited time, and only for objects that its user may call about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission

from django_poketalk.models import CallRequest
from tests.caller.people import agent, contact, logged_in, render, someone, token
from tests.crm.models import Company, Contact

pytestmark = pytest.mark.django_db
NOW = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
JSON = {"headers": {"Accept": "application/json"}}


@pytest.fixture
def anna() -> Any:
    return agent()


@pytest.fixture
def bob() -> Contact:
    return contact()


def press(user: Any, signed: str) -> Any:
    return logged_in(user).post("/poketalk/place/", {"token": signed}, **JSON).json()


def test_further_tokens_are_as_old_as_the_first(anna: Any, bob: Contact, settings: Any) -> None:
    settings.POKETALK = {**settings.POKETALK, "LIVE_CALLS_PER_USER": None}
    with time_machine.travel(NOW, tick=False):
        signed = token(anna, contact=bob)
    for hours in (11, 11.9):
        with time_machine.travel(NOW + timedelta(hours=hours), tick=False):
            signed = press(anna, signed)["token"]

    with time_machine.travel(NOW + timedelta(hours=12, seconds=1), tick=False):
        refused = press(anna, signed)

    assert refused["code"] == "button_expired"
    assert CallRequest.objects.count() == 2


@pytest.mark.parametrize("as_subject", [False, True])
def test_a_button_stops_working_when_access_to_its_object_is_gone(
    as_subject: bool, anna: Any, bob: Contact
) -> None:
    tag = "call_button contact.phone subject=contact" if as_subject else None
    signed = token(anna, *([tag] if tag else []), contact=bob)
    anna.user_permissions.remove(Permission.objects.get(codename="view_contact"))

    refused = press(anna, signed)

    assert refused["code"] == "subject_unknown"
    assert not CallRequest.objects.exists()


def test_the_source_of_the_number_must_be_visible_too(anna: Any, bob: Contact) -> None:
    company = Company.objects.create(name="Example Ltd")
    anna.user_permissions.add(Permission.objects.get(codename="view_company"))
    tag = 'call_button contact field="phone" subject=company'
    signed = token(anna, tag, contact=bob, company=company)
    anna.user_permissions.remove(Permission.objects.get(codename="view_contact"))

    assert press(anna, signed)["code"] == "subject_unknown"


@pytest.mark.parametrize(
    "tag",
    [
        'call_button contact field="phone"',
        "call_button contact.phone subject=contact",
        "call_buttons contact fields='phone' %}<p>{{ contact.phone }}</p>{% endcall_buttons",
    ],
)
def test_no_button_is_rendered_without_access_to_its_object(tag: str, bob: Contact) -> None:
    eve = someone("eve", "place_call")

    assert "<button" not in render(tag, eve, contact=bob)
    eve.user_permissions.add(Permission.objects.get(codename="view_contact"))
    seeing = type(eve).objects.get(pk=eve.pk)
    assert "<button" in render(tag, seeing, contact=bob)


def test_a_project_can_decide_who_may_call_about_what(
    bob: Contact, poketalk: Callable[..., None]
) -> None:
    poketalk(MAY_CALL_ABOUT="tests.security.rules.friends_of_anna")
    tag = 'call_button contact field="phone"'
    eve, anna = someone("eve", "place_call"), agent()

    assert "<button" in render(tag, anna, contact=bob)
    assert "<button" not in render(tag, anna, contact=contact("Cem"))
    assert "<button" not in render(tag, eve, contact=bob)
    signed = token(anna, tag, contact=bob)
    Contact.objects.filter(pk=bob.pk).update(name="Robert")
    assert press(anna, signed)["code"] == "subject_unknown"
