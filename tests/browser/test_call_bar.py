"""The bar with the open call: on every page, in every tab, with and without a script."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from django_poketalk.models import CallRequest
from tests.caller.people import contact
from tests.crm.models import Contact

from .axe import accessibility_violations
from .service import Service
from .steps import Visit, wait_for_request

ICON = "link[rel=icon]"
NO_CHANNEL = "delete globalThis.BroadcastChannel"


@pytest.fixture(autouse=True)
def one_call(site: str, settings: Any) -> None:
    settings.POKETALK = {**settings.POKETALK, "LIVE_CALLS_PER_USER": 1}


def bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Your call")


def call(page: Page, service: Service, *statuses: int) -> None:
    page.get_by_role("button", name="Call: Bob").click()
    wait_for_request(page, service)
    for status in statuses:
        assert service.send_event(status, 5, "0.08") == 200


@pytest.mark.parametrize("has_channel", [True, False])
def test_other_tabs_follow_a_call_and_their_buttons_link_to_it(
    visit: Visit, bob: Contact, service: Service, has_channel: bool
) -> None:
    carol = contact("Carol", "+442079460999")
    first = visit()
    if not has_channel:
        first.context.add_init_script(NO_CHANNEL)
    first.goto(f"/desk/{bob.pk}/")
    second = visit(first.context)
    second.goto(f"/desk/{carol.pk}/")
    button = second.locator("poketalk-call").get_by_role("button", name="Call: Carol")

    call(first, service, 1, 3, 5, 7)

    expect(bar(second)).to_contain_text(re.compile(r"Bob\s+Connected\s+00:\d\d · 0\.08"))
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(second.get_by_role("link", name="View that call")).to_be_visible()
    bar(second).get_by_role("button", name="Hang up").click()
    for tab in (first.locator("poketalk-call"), bar(second)):  # a plain service ends it then
        expect(tab.get_by_role("timer")).to_have_text(re.compile(r"next report in \d\d? s$"))
    service.send_event(8, 9, "0.09")
    expect(bar(second)).to_contain_text(re.compile(r"Ended, \d s, 0\.09"))
    expect(bar(first)).to_contain_text(re.compile(r"Ended, \d s, 0\.09"))
    expect(button).to_have_attribute("aria-disabled", "false")
    expect(second.get_by_role("link", name="View that call")).to_be_hidden()


def test_the_title_the_icon_and_the_recent_calls_follow_a_call(
    visit: Visit, bob: Contact, service: Service
) -> None:
    page = visit()
    page.goto(f"/desk/{bob.pk}/")
    icon = page.locator(ICON).get_attribute("href")

    call(page, service, 1, 3, 5, 7)
    expect(page).to_have_title("☎ Bob · Desk")
    expect(page.locator(ICON)).to_have_attribute("href", re.compile("poketalk/call_icon"))
    expect(page.locator(".poketalk-history tbody tr")).to_have_count(1)
    expect(page.locator(".poketalk-history tbody tr")).to_contain_text("Connected")
    page.reload()
    expect(page).to_have_title("☎ Bob · Desk")
    service.send_event(8, 90, "0.42")

    expect(page).to_have_title("Desk")
    assert page.locator(ICON).get_attribute("href") == icon
    expect(page.locator(".poketalk-history tbody tr")).to_contain_text("0.42")


def test_a_button_in_a_tab_that_knows_nothing_is_refused_with_a_link(
    visit: Visit, bob: Contact, service: Service, problems: list[str]
) -> None:
    carol = contact("Carol", "+442079460999")
    page = visit(java_script_enabled=False)
    page.goto(f"/desk/{carol.pk}/")
    other = visit(page.context)
    other.goto(f"/desk/{bob.pk}/")
    call(other, service)

    page.get_by_role("button", name="Call: Carol").click()
    page.get_by_role("link", name="View that call").click()
    assert "422" in problems.pop()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
    page.goto(f"/desk/{carol.pk}/")
    expect(bar(page).get_by_role("link", name="Bob")).to_be_visible()
    bar(page).get_by_role("button", name="Hang up").click()
    expect(page.get_by_text("Back")).to_be_visible()
    assert CallRequest.objects.get().hangup_requested_at


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_bar_is_accessible_on_a_narrow_page_from_right_to_left(
    scheme: str, visit: Visit, bob: Contact, service: Service, problems: list[str]
) -> None:
    size = {"width": 360, "height": 640}
    page = visit(color_scheme=scheme, viewport=size)
    page.goto(f"/desk/{bob.pk}/")
    call(page, service, 1, 3, 5, 7)
    expect(bar(page)).to_contain_text("Connected")
    page.evaluate("document.documentElement.dir = 'rtl'")

    shown: Any = page.locator(".poketalk-bar")
    expect(shown).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert problems == []
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles
