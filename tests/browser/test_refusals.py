"""The call element's messages for calls that are not placed, and the links that help."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from django_poketalk.models import BlacklistedNumber, CallRequest, Phone
from tests.caller.conftest import CALLEE
from tests.crm.models import Contact

from .service import Service
from .steps import Visit, call_button, expect_status, hang_up_button, place_call, wait_for_request


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound but not listening, so connections are refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_user_without_a_number_sets_it_and_returns_to_the_page(
    visit: Visit, service: Service
) -> None:
    Phone.objects.all().delete()
    page = visit()
    contact_url = page.url

    call_button(page).click()
    expect_status(page, re.compile("^Your own phone rings first"))
    page.get_by_role("link", name="Set your own phone number").click()
    page.get_by_label("Phone number").fill("+44 20 7946 0000")
    page.get_by_role("button", name="Add").click()

    expect(page).to_have_url(contact_url)
    place_call(page, service, 1)
    expect_status(page, "Calling your phone …")


def test_a_number_on_the_blacklist_is_not_called(visit: Visit, service: Service) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason="asked <b>not</b> to be called")
    page = visit()

    call_button(page).click()

    expect_status(page, re.compile("is on the blacklist: asked <b>not</b> to be called$"))
    expect(hang_up_button(page)).to_be_hidden()
    expect(call_button(page)).to_be_enabled()
    assert service.requests == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("60", "blacklist"),
        ("70", "cannot reach"),
        ("90", "not enough credit"),
        ("40", "does not recognize this site"),
        ("20", "The service refused the call."),
    ],
)
def test_the_reason_of_a_refusal_by_the_service_is_displayed(
    answer: str, sentence: str, visit: Visit, service: Service
) -> None:
    service.answer = answer
    page = visit()

    call_button(page).click()

    expect_status(page, re.compile(sentence))
    expect(hang_up_button(page)).to_be_hidden()


def test_an_unreachable_service_is_reported(visit: Visit, settings: Any, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}/"
    settings.POKETALK = {**settings.POKETALK, "URL": url, "PLACE_WITHIN": 1}
    page = visit()

    call_button(page).click()

    expect_status(page, re.compile("could not be reached. No phone rang"))


def test_an_unknown_outcome_disables_the_call_button(visit: Visit, service: Service) -> None:
    service.answer = "<h1>Bad gateway</h1>"
    page = visit()

    call_button(page).click()

    expect_status(page, re.compile("may or may not ring. Check before you call again"))
    expect(call_button(page)).to_be_disabled()
    expect(hang_up_button(page)).to_be_visible()
    service.send_event(1)
    service.send_event(3)
    expect_status(page, "Ringing Bob …")  # the request was received after all


def test_a_contact_without_a_number_is_reported(visit: Visit, bob: Contact) -> None:
    page = visit()
    Contact.objects.update(phone="")

    call_button(page).click()

    expect_status(page, "There is no phone number to call.")


def test_an_expired_button_is_reported(visit: Visit, settings: Any) -> None:
    page = visit()
    settings.POKETALK = {**settings.POKETALK, "BUTTON_MAX_AGE": 0}
    page.wait_for_timeout(1100)

    call_button(page).click()

    expect_status(page, re.compile("^This button has expired"))
    assert not CallRequest.objects.exists()


def test_a_missing_permission_is_reported(visit: Visit, anna: Any, problems: list[str]) -> None:
    page = visit()
    anna.user_permissions.clear()

    call_button(page).click()

    expect_status(page, "You are not allowed to place calls.")
    assert not CallRequest.objects.exists()
    assert ["403" in problem for problem in problems] == [True]
    problems.clear()


def test_a_logged_out_user_gets_a_link_to_the_login(visit: Visit, problems: list[str]) -> None:
    page = visit()
    page.context.clear_cookies(name="sessionid")

    call_button(page).click()

    expect_status(page, "You have been logged out. Log in and try again.")
    link = page.get_by_role("link", name="Log in")
    expect(link).to_have_attribute("href", re.compile(r"^/admin/login/\?next=%2Fcontacts%2F"))
    assert not CallRequest.objects.exists()
    assert ["401" in problem for problem in problems] == [True]
    problems.clear()


def test_a_missing_csrf_cookie_is_reported_as_an_outdated_page(
    visit: Visit, problems: list[str]
) -> None:
    page = visit()
    page.context.clear_cookies(name="csrftoken")

    call_button(page).click()

    expect_status(page, "This page is out of date. Reload it and try again.")
    assert ["403" in problem for problem in problems] == [True]
    problems.clear()


def test_a_user_who_is_logged_out_during_a_call_gets_a_link_to_the_login(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    place_call(page, service, 1)
    wait_for_request(page, service)

    page.context.clear_cookies(name="sessionid")

    expect_status(page, "You have been logged out. Log in and try again.")
    link = page.get_by_role("link", name="Log in")
    expect(link).to_have_attribute("href", re.compile(r"^/admin/login/\?next=%2Fcontacts%2F"))
    assert ["401" in problem for problem in problems] == [True]
    problems.clear()
