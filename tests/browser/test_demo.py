"""The demo end to end: its pages, worker, service, switch and simulated phones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import REPORT_VIOLATIONS, TIMEOUT, record_problems


@pytest.fixture
def page(browser: Browser, demo_site: str, problems: list[str]) -> Iterator[Page]:
    """A page of the demo, with the user `demo` logged in."""
    context = browser.new_context(base_url=demo_site)
    context.set_default_timeout(TIMEOUT)
    context.add_init_script(REPORT_VIOLATIONS)
    page = context.new_page()
    record_problems(page, problems)
    page.goto("/login/")
    page.get_by_label("User name").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("searchbox")).to_be_visible()
    yield page
    context.close()
    assert problems == []


def open_contact(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("searchbox").fill(name)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def press(page: Page) -> None:
    page.locator("poketalk-call:defined [type=submit]").first.click()  # its script runs


def expect_phase(page: Page, phase: str) -> None:
    expect(page.locator("poketalk-call").first).to_have_attribute("phase", phase)


def expect_status(page: Page, sentence: str | re.Pattern[str]) -> None:
    element = page.locator("poketalk-call").first
    status = page.get_by_role("status").and_(element.locator("[data-poketalk=sentence]"))
    expect(status).to_have_text(sentence)


def test_a_call_from_start_to_end(page: Page) -> None:
    open_contact(page, "Sid Sixty")

    press(page)
    expect_phase(page, "talking")
    expect(page.locator("poketalk-call").get_by_role("timer")).to_have_text(re.compile(r"^\d\d:"))
    expect_status(page, re.compile(r"^Ended, 1 min( \d s)?, 0\.\d\d"))

    page.reload()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Ended after talking")


@pytest.mark.parametrize("phase", ["calling", "ringing", "talking"])
def test_a_call_is_hung_up(phase: str, page: Page) -> None:
    open_contact(page, "Sloane Slow" if phase == "ringing" else "Stacy Stays")
    press(page)
    expect_phase(page, phase)

    page.get_by_role("button", name=re.compile("Hang up")).first.click()

    expect_status(page, re.compile("^(Ended|Canceled before)"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Bea Busy", "Bea Busy is busy."),
        ("Blanche Listed", "Refused: one of the numbers is on the service’s blacklist."),
        ("Gaston Sansroute", "Refused: the service cannot reach one of the numbers."),
        ("Ruby Rateless", re.compile("^Refused: the service has no rate")),
    ],
)
def test_the_reason_of_a_failed_call_is_displayed(
    name: str, sentence: str | re.Pattern[str], page: Page
) -> None:
    open_contact(page, name)

    press(page)

    expect_status(page, sentence)


def test_staff_place_a_call_from_the_admin(page: Page) -> None:
    page.goto("/admin/contacts/contact/?q=Quinn")
    press(page)
    expect_phase(page, "talking")

    page.locator("#result_list").get_by_role("link", name="Quinn Quick").click()
    expect_phase(page, "talking")  # the same call
    page.get_by_role("button", name=re.compile("Hang up")).first.click()
    expect_status(page, re.compile("^Ended"))
