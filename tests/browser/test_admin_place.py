"""Placing a call and editing the blacklist in the admin, under a strict policy."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from django_poketalk.models import BlacklistedNumber, CallRequest
from tests.caller.conftest import CALLEE, CALLER

from .axe import accessibility_violations
from .service import Service
from .steps import Visit

CALLS = "/admin/poketalk/callrequest/"
BLACKLIST = "/admin/poketalk/blacklistednumber/"


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, visit: Visit, anna: Any) -> Page:
    anna.is_staff = anna.is_superuser = True
    anna.save()
    return visit(color_scheme=request.param)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def check_accessibility(page: Page, problems: list[str]) -> None:
    assert problems == []
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles


@pytest.mark.needs("axe")
def test_a_call_is_checked_then_placed_by_keyboard(
    page: Page, service: Service, problems: list[str]
) -> None:
    page.goto(CALLS)
    page.get_by_role("link", name="Place a call").click()
    page.get_by_label("Number to call").fill(CALLEE)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The call is allowed. No phone has rung yet.")
    check_accessibility(page, problems)
    assert not CallRequest.objects.exists()

    page.get_by_role("button", name="Call", exact=True).focus()
    page.keyboard.press("Enter")

    expect(page.get_by_text("The call is being placed.")).to_be_visible()
    call = CallRequest.objects.get()
    assert page.url.endswith(f"{CALLS}{call.pk}/change/")


@pytest.mark.needs("axe")
def test_a_double_click_places_one_call(page: Page, service: Service) -> None:
    page.goto(f"{CALLS}place/")
    page.get_by_label("Number to call").fill(CALLEE)
    press(page, "Check")

    page.get_by_role("button", name="Call", exact=True).dblclick()

    expect(page.get_by_text("The call is being placed.")).to_be_visible()
    assert CallRequest.objects.count() == 1


@pytest.mark.needs("axe")
def test_a_rejected_number_has_the_error_at_its_field(page: Page, problems: list[str]) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason="Asked us")
    page.goto(f"{CALLS}place/")
    page.get_by_label("Number to call").fill(CALLEE)

    press(page, "Check")

    field = page.get_by_label("Number to call")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("is on the blacklist: Asked us")).to_be_visible()
    expect(page.get_by_role("button", name="Call", exact=True)).to_have_count(0)
    check_accessibility(page, problems)


@pytest.mark.needs("axe")
def test_bulk_input_is_checked_corrected_and_added(page: Page, problems: list[str]) -> None:
    page.goto(BLACKLIST)
    page.get_by_role("link", name="Add in bulk").click()
    page.get_by_label("Numbers").fill(f"{CALLEE}, fraud\nnobody\n{CALLER}")
    press(page, "Check")
    expect(page.get_by_text("Line 2:")).to_be_visible()
    check_accessibility(page, problems)

    page.get_by_label("Numbers").fill(f"{CALLEE}, fraud\n+49*\n{CALLER}")
    press(page, "Check")
    check_accessibility(page, problems)
    press(page, "Add 3 entries")

    expect(page.get_by_text("3 entries were added to the blacklist.")).to_be_visible()
    assert BlacklistedNumber.objects.count() == 3


@pytest.mark.needs("axe")
def test_a_blacklist_entry_is_previewed(page: Page, problems: list[str]) -> None:
    CallRequest.objects.create(
        from_number=CALLER, to_number=CALLEE, max_duration=60, expires_at="2026-01-01T00:00Z"
    )
    page.goto(f"{BLACKLIST}add/")
    page.get_by_label("Number or prefix").fill(CALLEE)

    press(page, "Preview")

    expect(page.get_by_role("status").filter(has_text="1 call.")).to_be_visible()
    check_accessibility(page, problems)
    assert not BlacklistedNumber.objects.exists()
