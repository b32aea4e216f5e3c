"""Pressing the button, refusals, and rules for all pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone, translation

from django_poketalk.models import BlacklistedNumber, CallRequest, Phone
from tests.crm.models import Contact

from ..conftest import CALLEE, CALLER
from ..people import agent, connected, contact, logged_in, page, token

PLACE = "/poketalk/place/"
PHONES = "/poketalk/my-phones/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


# The button


def test_a_press_places_the_call_and_redirects_to_its_page(
    anna: Any, bob: Contact, woken: list[Any]
) -> None:
    signed = token(
        anna, 'call_button contact field="phone" max_duration=90 max_cost="0.4"', contact=bob
    )

    response = logged_in(anna).post(PLACE, {"token": signed, "next": "/contacts/7/"})

    call = CallRequest.objects.get()
    assert response.status_code == 302
    assert response.url == f"/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F"
    assert (call.from_number, call.to_number, call.user) == (CALLER, CALLEE, anna)
    assert (call.subject, call.max_duration, call.max_cost) == (bob, 90, Decimal("0.4"))


def test_the_same_press_twice_places_one_call(anna: Any, bob: Contact) -> None:
    client, signed = logged_in(anna), token(anna, contact=bob)

    first, second = (client.post(PLACE, {"token": signed}) for _ in range(2))

    assert first.url == second.url
    assert CallRequest.objects.count() == 1


def test_a_repeated_press_returns_the_same_call_after_any_change(
    anna: Any, bob: Contact, poketalk: Callable[..., None]
) -> None:
    client, signed = logged_in(anna), token(anna, contact=bob)
    first = client.post(PLACE, {"token": signed})
    Contact.objects.update(phone="")
    Phone.objects.all().delete()
    poketalk(LIVE_CALLS_PER_USER=1)

    replay = client.post(PLACE, {"token": signed})

    assert replay.url == first.url
    assert CallRequest.objects.count() == 1


def test_a_number_that_the_page_sends_is_ignored(anna: Any, bob: Contact) -> None:
    forged = "+442079460666"
    order = {
        "token": token(anna, contact=bob),
        "to": forged,
        "number": forged,
        "to_number": forged,
        "from_number": forged,
        "field": "name",
    }

    logged_in(anna).post(PLACE, order)

    call = CallRequest.objects.get()
    assert (call.from_number, call.to_number) == (CALLER, CALLEE)


def test_a_press_without_the_csrf_token_is_refused(anna: Any, bob: Contact) -> None:
    client = logged_in(anna, enforce_csrf_checks=True)

    page(client.post(PLACE, {"token": token(anna, contact=bob)}), 403)

    assert not CallRequest.objects.exists()


def test_the_press_checks_the_permission(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    anna.user_permissions.clear()

    page(logged_in(anna).post(PLACE, {"token": signed}), 403)

    assert not CallRequest.objects.exists()


def test_a_button_of_another_user_places_no_call(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)

    html = page(logged_in(agent("eve")).post(PLACE, {"token": signed}), 422)

    assert "belongs to another user" in html
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize("order", [{}, {"token": ""}, {"token": "eyJ1IjoiMSJ9:1abc:x"}])
def test_an_altered_button_places_no_call(order: dict[str, str], anna: Any) -> None:
    html = page(logged_in(anna).post(PLACE, order), 422)

    assert "is not valid" in html
    assert not CallRequest.objects.exists()


def test_an_expired_button_places_no_call(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    client = logged_in(anna)

    with time_machine.travel(timezone.now() + timedelta(hours=13), tick=False):
        html = page(client.post(PLACE, {"token": signed}), 422)

    assert "has expired" in html
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize("address", [PLACE, "/poketalk/1/hang-up/"])
@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_post_requests_change_anything(address: str, method: str, anna: Any) -> None:
    response = getattr(logged_in(anna), method)(address)

    assert response.status_code == 405


@pytest.mark.parametrize("address", [PLACE, "/poketalk/1/hang-up/"])
@pytest.mark.parametrize(
    ("claimed", "after_login"),
    [
        ("/contacts/7/?tab=phones", "/contacts/7/%3Ftab%3Dphones"),
        ("https://evil.example/", "/accounts/profile/"),
        ("//evil.example/", "/accounts/profile/"),
        ("javascript:alert(1)", "/accounts/profile/"),
    ],
)
def test_after_a_login_the_user_returns_to_the_page_of_the_button(
    address: str, claimed: str, after_login: str, db: None
) -> None:
    response = Client().post(address, {"next": claimed})

    assert response.status_code == 302
    assert response.url == f"/admin/login/?next={after_login}"


@pytest.mark.parametrize("address", [PHONES, "/poketalk/1/", "/poketalk/1/status/"])
def test_pages_require_a_login(address: str, db: None) -> None:
    response = Client().get(address)

    assert response.status_code == 302
    assert response.url == f"/admin/login/?next={address}"


@pytest.mark.parametrize("address", [PHONES, "/poketalk/1/", "/poketalk/1/status/"])
def test_pages_require_a_login_even_without_the_login_middleware(
    address: str, db: None, settings: Any
) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "LoginRequired" not in name]

    response = Client().get(address)

    assert response.status_code == 302
    assert response.url == f"/admin/login/?next={address}"


# Refusals


def test_a_refusal_page_has_the_reason_and_a_back_link(anna: Any, bob: Contact) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason=INJECTED)

    response = logged_in(anna).post(
        PLACE, {"token": token(anna, contact=bob), "next": "/contacts/7/"}
    )

    html = page(response, 422)
    assert "is on the blacklist" in html
    assert 'href="/contacts/7/"' in html
    assert "<script>" not in html
    assert not CallRequest.objects.exists()


def test_without_an_own_number_the_page_links_to_its_form(anna: Any, bob: Contact) -> None:
    Phone.objects.all().delete()

    response = logged_in(anna).post(
        PLACE, {"token": token(anna, contact=bob), "next": "/contacts/7/?a=1&b=2"}
    )

    html = page(response, 422)
    assert f'href="{PHONES}?next=%2Fcontacts%2F7%2F%3Fa%3D1%26b%3D2"' in html


def test_an_object_that_has_lost_its_number_is_refused(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    Contact.objects.update(phone="")

    html = page(logged_in(anna).post(PLACE, {"token": signed}), 422)

    assert "no phone number to call" in html


def test_an_invalid_number_is_refused_and_quoted(anna: Any) -> None:
    signed = token(anna, contact=contact(phone=INJECTED))

    html = page(logged_in(anna).post(PLACE, {"token": signed}), 422)

    assert "&lt;script&gt;" in html
    assert "<script>" not in html


# All pages


def all_pages(client: Client, call: CallRequest) -> list[str]:
    return [
        page(client.get(f"/poketalk/{call.pk}/")),
        page(client.get(PHONES)),
        page(client.post(PHONES, {"number": "x"})),
        page(client.post(PLACE, {"token": "x"}), 422),
    ]


def test_no_page_has_inline_script_or_style(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))

    for html in all_pages(logged_in(anna), call):
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html)
        assert '<html lang="en-us" dir="ltr">' in html


def test_pages_support_right_to_left_languages(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))

    with translation.override("he"):
        for html in all_pages(logged_in(anna), call):
            assert '<html lang="he" dir="rtl">' in html
