"""The admin page of a live call updates itself without disturbing its reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from django_poketalk.calls import requesting
from django_poketalk.events import incoming
from django_poketalk.models import CallRequest, Placement
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import limits_of, someone

from .axe import accessibility_violations
from .conftest import REPORT_VIOLATIONS, TIMEOUT, record_problems

Open = Callable[..., Page]


@pytest.fixture
def call(site: str, no_worker: None) -> CallRequest:
    """A call whose leg A is ringing."""
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE)
    call.begin_sending(timezone.now())
    call.accept(timezone.now(), "00")
    receive_event(call, 1)
    return call


def receive_event(call: CallRequest, status: int, duration: int = 0) -> int:
    return incoming.receive(
        limits_of(call), Event(CallStatus(status), duration=duration), "192.0.2.7"
    ).status


@pytest.fixture
def open_call(
    browser: Browser, site: str, call: CallRequest, problems: list[str]
) -> Iterator[Open]:
    """Open the call's page as a superuser."""
    contexts: list[BrowserContext] = []
    boss = someone("boss", is_superuser=True, is_staff=True)

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**{"base_url": site, **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(REPORT_VIOLATIONS)
        client = Client()
        client.force_login(boss)
        session = client.cookies[project.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": project.SESSION_COOKIE_NAME, "value": session, "url": site}])
        page = context.new_page()
        record_problems(page, problems)
        page.goto(f"/admin/poketalk/callrequest/{call.pk}/change/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def expect_status(page: Page, state: str) -> None:
    expect(page.locator("#poketalk-live").get_by_role("status")).to_contain_text(state)


def marks(page: Page) -> Any:
    return page.locator(".poketalk-timeline .pt-mark")


def test_the_page_updates_itself_until_the_call_ends(open_call: Open, call: CallRequest) -> None:
    page = open_call()
    page.evaluate("window.notReloaded = true")
    expect_status(page, "Calling the caller")
    expect(marks(page)).to_have_count(1)

    for status in (3, 5, 7):
        receive_event(call, status, status)
    expect_status(page, "Connected")
    expect(marks(page)).to_have_count(4)
    expect(page.locator(".poketalk-timeline [data-stage=talking]")).to_have_count(2)
    expect(page.get_by_text("now", exact=True).first).to_be_attached()
    receive_event(call, 8, 60)

    expect_status(page, "Ended after talking")
    expect(page.locator(".poketalk-events tbody tr")).to_have_count(5)
    expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
    assert page.evaluate("window.notReloaded")


def test_an_update_keeps_focus_scroll_position_and_open_details(
    open_call: Open, call: CallRequest
) -> None:
    page = open_call(viewport={"width": 360, "height": 640})
    page.get_by_text("The timeline as a table").click()
    picture = page.locator("[data-part=picture]")
    picture.evaluate("(element) => { element.scrollLeft = 120 }")
    page.get_by_role("button", name="Hang up").focus()
    page.evaluate("window.scrollTo(0, 200)")

    receive_event(call, 3)
    expect_status(page, "Caller answered")

    expect(page.get_by_role("button", name="Hang up")).to_be_focused()
    assert page.evaluate("window.scrollY") == 200
    assert picture.evaluate("(element) => element.scrollLeft") == 120
    expect(page.locator("details.poketalk-table")).to_have_attribute("open", "")


def test_focus_moves_to_the_status_when_the_button_disappears(
    open_call: Open, call: CallRequest
) -> None:
    page = open_call()
    page.get_by_role("button", name="Hang up").focus()

    receive_event(call, 2)

    expect_status(page, "Caller not reached")
    expect(page.locator("#poketalk-live").get_by_role("status")).to_be_focused()


def test_only_the_status_is_a_live_region(open_call: Open) -> None:
    page = open_call()

    expect(page.locator("#poketalk-live [aria-live], #poketalk-live [role=status]")).to_have_count(
        1
    )


def test_a_call_is_hung_up_from_its_page(open_call: Open, call: CallRequest) -> None:
    page = open_call()

    page.get_by_role("button", name="Hang up").click()

    expect(page.get_by_text("The call is being ended.")).to_be_visible()
    expect_status(page, "Hanging up … The call ends at")
    assert receive_event(call, 3) == 412
    expect(page.locator(".poketalk-timeline [data-refused]")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_works_without_javascript(scheme: str, open_call: Open, call: CallRequest) -> None:
    page = open_call(java_script_enabled=False, color_scheme=scheme)
    expect(page.get_by_role("img", name=re.compile("^The call from"))).to_be_visible()

    page.get_by_role("button", name="Block the callee").click()
    expect(page.get_by_text("Already blocked.")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()

    expect(page.get_by_text("The call is being ended.")).to_be_visible()


def test_the_page_fits_a_narrow_screen(open_call: Open, call: CallRequest) -> None:
    CallRequest.objects.update(response_detail="x" * 255, veto_reason="y" * 200)
    page = open_call(viewport={"width": 360, "height": 640})

    width = "document.documentElement"
    assert page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth")


def test_the_timeline_runs_from_left_to_right_in_every_language(
    open_call: Open, call: CallRequest, settings: Any
) -> None:
    receive_event(call, 3)
    settings.LANGUAGE_CODE = "he"
    page = open_call(viewport={"width": 360, "height": 640})

    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("[data-part=picture]")).to_have_css("direction", "ltr")
    boxes = [marks(page).nth(index).bounding_box() for index in range(2)]
    assert boxes[0]["x"] <= boxes[1]["x"]
    width = "document.documentElement"
    assert page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth")


def test_an_unknown_call_is_resolved_from_its_page(open_call: Open, call: CallRequest) -> None:
    CallRequest.objects.update(placement=Placement.UNKNOWN, status=None, last_event_at=None)
    page = open_call()

    page.get_by_role("link", name="Resolve manually").click()
    page.get_by_label("It did not ring.").check()
    page.get_by_label("Note").fill("asked the service")
    page.get_by_role("button", name="Save outcome").click()

    expect(page.get_by_text("Saved. A later event from the service overrides it.")).to_be_visible()
    expect(page.get_by_text("Resolved manually (never_rang): asked the service")).to_be_visible()


def test_a_lost_connection_is_reported_and_restored(
    open_call: Open, call: CallRequest, problems: list[str]
) -> None:
    page = open_call()
    page.route("**/live/", lambda route: route.abort())
    expect_status(page, "No connection to this site. Trying again …")

    page.unroute("**/live/")
    receive_event(call, 3)

    expect_status(page, "Caller answered")
    expect(page.locator(".poketalk-lost")).to_have_count(0)
    problems.clear()


def test_a_logged_out_user_sees_that_the_page_is_out_of_date(open_call: Open) -> None:
    page = open_call()

    page.context.clear_cookies(name=project.SESSION_COOKIE_NAME)

    expect_status(page, "This page is out of date. Reload it to see the current state of the call.")


def test_an_ended_call_is_not_polled(open_call: Open, call: CallRequest) -> None:
    CallRequest.objects.update(ended_at=timezone.now() - timedelta(minutes=1), status=8)
    page = open_call()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    page.wait_for_timeout(2500)

    assert requests == []


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(
    scheme: str, open_call: Open, call: CallRequest, problems: list[str]
) -> None:
    for status in (3, 5, 7, 7, 5):  # the last two are repeated and out of order
        receive_event(call, status, status)
    requesting.hang_up(call)
    receive_event(call, 7, 60)
    page = open_call(color_scheme=scheme)
    page.get_by_text("The timeline as a table").click()

    assert problems == []
    assert accessibility_violations(page) == []
    CallRequest.objects.update(placement=Placement.UNKNOWN, status=None)
    page.goto(page.url.replace("/change/", "/resolve/"))
    page.get_by_role("button", name="Save outcome").click()
    expect(page.get_by_text("This field is required.").first).to_be_visible()
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles
