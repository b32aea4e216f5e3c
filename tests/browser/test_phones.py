"""A user with several phones: the menu at the button, and the page *My phones*."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from django_poketalk.models import CallRequest, Phone

from .axe import accessibility_violations
from .service import Service
from .steps import Visit, call_button, wait_for_request

MOBILE = "+442079460555"
MENU = "Call Bob from another phone"
PHONES = "/poketalk/my-phones/"


@pytest.fixture
def mobile(anna: Any) -> Phone:
    return Phone.objects.create(user=anna, number=MOBILE, label="Mobile")


def summary(page: Page) -> Any:
    return page.locator("summary")


def test_the_keyboard_chooses_the_phone_that_rings_first(
    mobile: Phone, visit: Visit, service: Service
) -> None:
    page = visit()
    call_button(page).focus()
    page.keyboard.press("Tab")
    expect(summary(page)).to_be_focused()
    expect(summary(page)).to_have_attribute("aria-label", MENU)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    other = page.get_by_role("button", name="Mobile +44 20 7946 0555")
    expect(other).to_be_focused()
    page.keyboard.press("Enter")

    wait_for_request(page, service)
    expect(page.locator("poketalk-call")).to_have_attribute("phase", "calling")
    expect(call_button(page)).to_be_focused()
    expect(other).to_be_hidden()
    assert CallRequest.objects.get().from_number == MOBILE


def test_the_menu_works_without_javascript(mobile: Phone, visit: Visit, service: Service) -> None:
    page = visit(java_script_enabled=False)
    summary(page).click()
    page.get_by_role("button", name="Mobile +44 20 7946 0555").click()

    expect(page.get_by_role("heading")).to_have_count(2)
    assert CallRequest.objects.get().from_number == MOBILE
    wait_for_request(page, service)


def test_the_button_itself_rings_the_default_phone(
    mobile: Phone, visit: Visit, service: Service
) -> None:
    page = visit()
    summary(page).click()
    call_button(page).click()

    wait_for_request(page, service)
    assert CallRequest.objects.get().from_number != MOBILE


def test_a_shared_form_has_one_choice(
    mobile: Phone, visit: Visit, service: Service, bob: Any
) -> None:
    page = visit()
    page.goto(f"/cards/{bob.pk}/")
    page.get_by_label("Your phone, which rings first:").first.select_option(MOBILE)
    page.locator("poketalk-call button[type=submit]").first.click()

    wait_for_request(page, service)
    assert CallRequest.objects.get().from_number == MOBILE


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "he"])
def test_the_menu_and_the_page_are_accessible_and_fit_narrow_screens(
    scheme: str, language: str, mobile: Phone, visit: Visit, problems: list[str], settings: Any
) -> None:
    settings.LANGUAGE_CODE = language
    settings.POKETALK = {**settings.POKETALK, "VERIFY_PHONES": "tests.caller.test_checks.send"}
    Phone.objects.update(verified_at="2026-01-01T00:00Z")
    third = Phone.objects.create(user=mobile.user, number="+442079460777", label="Home office")
    page = visit(color_scheme=scheme, viewport={"width": 360, "height": 700})
    summary(page).click()
    check_page(page, problems)
    for path in ("", f"{third.pk}/", f"{third.pk}/verify/"):
        page.goto(PHONES + path)
        check_page(page, problems)


def check_page(page: Page, problems: list[str]) -> None:
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles
