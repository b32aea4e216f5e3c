"""What the call element says of a call that is not made, and where it can be put right."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from django_poketalk.models import BlacklistedNumber, CallerNumber, CallRequest
from tests.caller.conftest import CALLEE
from tests.crm.models import Contact

from .service import Service
from .steps import Visit, asked, call_button, hang_up_button, reach, says


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is held, so that nobody else listens on it, but not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_an_own_number_that_is_missing_is_asked_for_and_leads_back(
    visit: Visit, service: Service
) -> None:
    CallerNumber.objects.all().delete()
    page = visit()
    there = page.url

    call_button(page).click()
    says(page, re.compile("^Your own phone rings first"))
    page.get_by_role("link", name="Set your own phone number").click()
    page.get_by_label("Your phone number").fill("+44 20 7946 0000")
    page.get_by_role("button", name="Save").click()

    expect(page).to_have_url(there)
    reach(page, service, 1)
    says(page, "Calling your phone …")


def test_a_number_on_our_blacklist_is_not_called(visit: Visit, service: Service) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason="asked <b>not</b> to be called")
    page = visit()

    call_button(page).click()

    says(page, re.compile("is on the blacklist: asked <b>not</b> to be called$"))
    expect(hang_up_button(page)).to_be_hidden()
    expect(call_button(page)).to_be_enabled()
    assert service.asked == []


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
def test_what_the_service_refuses_is_told_with_its_reason(
    answer: str, sentence: str, visit: Visit, service: Service
) -> None:
    service.answer = answer
    page = visit()

    call_button(page).click()

    says(page, re.compile(sentence))
    expect(hang_up_button(page)).to_be_hidden()


def test_a_service_that_is_not_reached_is_told(
    visit: Visit, settings: Any, closed_port: int
) -> None:
    url = f"http://127.0.0.1:{closed_port}/"
    settings.POKETALK = {**settings.POKETALK, "URL": url, "PLACE_WITHIN": 1}
    page = visit()

    call_button(page).click()

    says(page, re.compile("could not be reached. No phone rang"))


def test_an_unknown_outcome_asks_to_check_and_offers_no_second_call(
    visit: Visit, service: Service
) -> None:
    service.answer = "<h1>Bad gateway</h1>"
    page = visit()

    call_button(page).click()

    says(page, re.compile("may or may not ring. Check before you call again"))
    expect(call_button(page)).to_be_disabled()
    expect(hang_up_button(page)).to_be_visible()
    service.tell(1)
    service.tell(3)
    says(page, "Ringing Bob …")  # it did ring


def test_a_number_that_is_gone_is_told(visit: Visit, bob: Contact) -> None:
    page = visit()
    Contact.objects.update(phone="")

    call_button(page).click()

    says(page, "There is no phone number to call.")


def test_a_button_that_is_too_old_is_told(visit: Visit, settings: Any) -> None:
    page = visit()
    settings.POKETALK = {**settings.POKETALK, "BUTTON_MAX_AGE": 0}
    page.wait_for_timeout(1100)

    call_button(page).click()

    says(page, re.compile("^This button has expired"))
    assert not CallRequest.objects.exists()


def test_whoever_may_not_call_any_more_is_told(
    visit: Visit, anna: Any, problems: list[str]
) -> None:
    page = visit()
    anna.user_permissions.clear()

    call_button(page).click()

    says(page, "You are not allowed to place calls.")
    assert not CallRequest.objects.exists()
    assert ["403" in problem for problem in problems] == [True]
    problems.clear()


def test_whoever_was_logged_out_is_led_to_the_login(visit: Visit, problems: list[str]) -> None:
    page = visit()
    page.context.clear_cookies(name="sessionid")

    call_button(page).click()

    says(page, "You have been logged out. Log in and try again.")
    link = page.get_by_role("link", name="Log in")
    expect(link).to_have_attribute("href", re.compile(r"^/admin/login/\?next=%2Fcontacts%2F"))
    assert not CallRequest.objects.exists()
    assert ["401" in problem for problem in problems] == [True]
    problems.clear()


def test_a_page_that_is_out_of_date_says_so(visit: Visit, problems: list[str]) -> None:
    page = visit()
    page.context.clear_cookies(name="csrftoken")

    call_button(page).click()

    says(page, "This page is out of date. Reload it and try again.")
    assert ["403" in problem for problem in problems] == [True]
    problems.clear()


def test_being_logged_out_during_a_call_is_told(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    reach(page, service, 1)
    asked(page, service)

    page.context.clear_cookies(name="sessionid")

    says(page, "You have been logged out. Log in and try again.")
    link = page.get_by_role("link", name="Log in")
    expect(link).to_have_attribute("href", re.compile(r"^/admin/login/\?next=%2Fcontacts%2F"))
    assert ["401" in problem for problem in problems] == [True]
    problems.clear()
