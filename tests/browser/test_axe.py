"""Every state of the call element is accessible, in light and in dark mode."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from django_poketalk.models import Phone

from .axe import accessibility_violations
from .service import Service
from .steps import Visit, call_button, hang_up_button, place_call, wait_for_request

pytestmark = pytest.mark.needs("axe")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, visit: Visit) -> Page:
    return visit(color_scheme=request.param)


def check_accessibility(page: Page, problems: list[str]) -> None:
    assert problems == []
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles


def expect_phase(page: Page, phase: str) -> None:
    expect(page.locator("poketalk-call")).to_have_attribute("phase", phase)


def test_a_call_from_start_to_end_is_accessible(
    page: Page, service: Service, problems: list[str]
) -> None:
    check_accessibility(page, problems)
    place_call(page, service)
    check_accessibility(page, problems)
    for status, phase in ((3, "ringing"), (7, "talking")):
        service.send_event(status, 5, "0.08")
        expect_phase(page, phase)
        check_accessibility(page, problems)
    hang_up_button(page).click()
    expect_phase(page, "ending")
    check_accessibility(page, problems)
    service.send_event(8, 5, "0.08")
    expect_phase(page, "ended")
    check_accessibility(page, problems)


@pytest.mark.parametrize(("answer", "phase"), [("90", "failed"), ("<h1>No", "unknown")])
def test_a_failed_or_unknown_call_is_accessible(
    answer: str, phase: str, page: Page, service: Service, problems: list[str]
) -> None:
    service.answer = answer

    call_button(page).click()
    wait_for_request(page, service)
    expect_phase(page, phase)

    check_accessibility(page, problems)


def test_a_missing_number_and_its_form_are_accessible(page: Page, problems: list[str]) -> None:
    Phone.objects.all().delete()
    call_button(page).click()
    expect_phase(page, "refused")
    check_accessibility(page, problems)

    page.get_by_role("link", name="Set your own phone number").click()
    expect(page.get_by_label("Phone number")).to_be_visible()
    check_accessibility(page, problems)
    page.get_by_label("Phone number").fill("seven")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_title(re.compile("^Error:"))
    check_accessibility(page, problems)


def test_the_page_of_a_call_is_accessible(
    page: Page, service: Service, problems: list[str]
) -> None:
    place_call(page, service, 1, 3, 7)
    page.get_by_role("link", name="Details").click()
    check_accessibility(page, problems)
    service.send_event(8, 60, "0.42")
    expect(
        page.get_by_text("Ended after talking").first
    ).to_be_visible()  # updated without a reload
    check_accessibility(page, problems)


def test_a_button_in_text_is_accessible(
    page: Page, service: Service, bob: Any, problems: list[str]
) -> None:
    page.goto(f"/cards/{bob.pk}/")
    check_accessibility(page, problems)
    page.get_by_role("button", name=f"Call {bob.phone}: Bob").click()
    wait_for_request(page, service)
    service.send_event(3)
    expect_phase(page, "ringing")
    check_accessibility(page, problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_refusal_without_javascript_is_accessible(
    scheme: str, visit: Visit, bob: Any, problems: list[str]
) -> None:
    Phone.objects.all().delete()
    page = visit(color_scheme=scheme)
    # Submit the form as a browser without JavaScript does.
    page.locator("poketalk-call form").evaluate("form => form.submit()")
    expect(page.get_by_role("heading", name="No call was made")).to_be_visible()
    problems[:] = [each for each in problems if "422" not in each]

    check_accessibility(page, problems)
