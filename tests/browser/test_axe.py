"""Whatever the call element shows, it keeps nobody out, in light and in dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from django_poketalk.models import CallerNumber

from .axe import barriers
from .service import Service
from .steps import Visit, asked, call_button, hang_up_button, reach

pytestmark = pytest.mark.needs("axe")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, visit: Visit) -> Page:
    return visit(color_scheme=request.param)


def nothing_is_in_the_way(page: Page, problems: list[str]) -> None:
    assert problems == []
    assert barriers(page) == []
    problems.clear()  # axe-core's own styles


def shows(page: Page, phase: str) -> None:
    expect(page.locator("poketalk-call")).to_have_attribute("phase", phase)


def test_from_the_press_to_the_end(page: Page, service: Service, problems: list[str]) -> None:
    nothing_is_in_the_way(page, problems)
    reach(page, service)
    nothing_is_in_the_way(page, problems)
    for status, phase in ((3, "ringing"), (7, "talking")):
        service.tell(status, 5, "0.08")
        shows(page, phase)
        nothing_is_in_the_way(page, problems)
    hang_up_button(page).click()
    shows(page, "ending")
    nothing_is_in_the_way(page, problems)
    service.tell(8, 5, "0.08")
    shows(page, "ended")
    nothing_is_in_the_way(page, problems)


@pytest.mark.parametrize(("answer", "phase"), [("90", "failed"), ("<h1>No", "unknown")])
def test_what_goes_wrong(
    answer: str, phase: str, page: Page, service: Service, problems: list[str]
) -> None:
    service.answer = answer

    call_button(page).click()
    asked(page, service)
    shows(page, phase)

    nothing_is_in_the_way(page, problems)


def test_a_refusal_and_its_way_out(page: Page, problems: list[str]) -> None:
    CallerNumber.objects.all().delete()
    call_button(page).click()
    shows(page, "refused")
    nothing_is_in_the_way(page, problems)

    page.get_by_role("link", name="Set your own phone number").click()
    nothing_is_in_the_way(page, problems)
    page.get_by_label("Your phone number").fill("seven")
    page.get_by_role("button", name="Save").click()
    nothing_is_in_the_way(page, problems)


def test_the_pages_that_work_without_script(
    page: Page, service: Service, problems: list[str]
) -> None:
    reach(page, service, 1, 3, 7)
    page.get_by_role("link", name="Details").click()
    nothing_is_in_the_way(page, problems)
    service.tell(8, 60, "0.42")
    expect(page.get_by_text("Ended after talking").first).to_be_visible()  # by itself
    nothing_is_in_the_way(page, problems)


def test_a_number_in_a_text(page: Page, service: Service, bob: Any, problems: list[str]) -> None:
    page.goto(f"/cards/{bob.pk}/")
    nothing_is_in_the_way(page, problems)
    page.get_by_role("button", name=f"Call {bob.phone}: Bob").click()
    asked(page, service)
    service.tell(3)
    shows(page, "ringing")
    nothing_is_in_the_way(page, problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_refusal_without_script(scheme: str, visit: Visit, bob: Any, problems: list[str]) -> None:
    CallerNumber.objects.all().delete()
    page = visit(color_scheme=scheme)
    # The form's own way, which the browser takes where no script runs.
    page.locator("poketalk-call form").evaluate("form => form.submit()")
    expect(page.get_by_role("heading", name="No call was made")).to_be_visible()
    problems[:] = [each for each in problems if "422" not in each]

    nothing_is_in_the_way(page, problems)
