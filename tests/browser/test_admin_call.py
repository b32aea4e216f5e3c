"""The page of a live call in the admin: it keeps itself up to date, and leaves the reader alone."""

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

from .axe import barriers
from .conftest import PATIENCE, REPORT_VIOLATIONS

Open = Callable[..., Page]


@pytest.fixture
def call(site: str, no_worker: None) -> CallRequest:
    """A call that rings at leg A."""
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE)
    call.begin_sending(timezone.now())
    call.accept(timezone.now(), "00")
    tell(call, 1)
    return call


def tell(call: CallRequest, status: int, duration: int = 0) -> int:
    return incoming.receive(
        limits_of(call), Event(CallStatus(status), duration=duration), "192.0.2.7"
    ).status


@pytest.fixture
def open_call(
    browser: Browser, site: str, call: CallRequest, problems: list[str]
) -> Iterator[Open]:
    """Open the call's page as somebody who may do everything."""
    contexts: list[BrowserContext] = []
    boss = someone("boss", is_superuser=True, is_staff=True)

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**{"base_url": site, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(REPORT_VIOLATIONS)
        client = Client()
        client.force_login(boss)
        session = client.cookies[project.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": project.SESSION_COOKIE_NAME, "value": session, "url": site}])
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda said: problems.append(said.text) if said.type in ("error", "warning") else None,
        )
        page.goto(f"/admin/poketalk/callrequest/{call.pk}/change/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def says(page: Page, state: str) -> None:
    expect(page.locator("#poketalk-live").get_by_role("status")).to_contain_text(state)


def marks(page: Page) -> Any:
    return page.locator(".poketalk-timeline .pt-mark")


def test_a_live_call_keeps_itself_up_to_date_to_its_end(open_call: Open, call: CallRequest) -> None:
    page = open_call()
    page.evaluate("window.notReloaded = true")
    says(page, "Calling the caller")
    expect(marks(page)).to_have_count(1)

    for status in (3, 5, 7):
        tell(call, status, status)
    says(page, "Connected")
    expect(marks(page)).to_have_count(4)
    expect(page.locator(".poketalk-timeline [data-stage=talking]")).to_have_count(2)
    expect(page.get_by_text("now", exact=True).first).to_be_attached()
    tell(call, 8, 60)

    says(page, "Ended after talking")
    expect(page.locator(".poketalk-events tbody tr")).to_have_count(5)
    expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
    assert page.evaluate("window.notReloaded")


def test_focus_scrolling_and_what_is_folded_stay(open_call: Open, call: CallRequest) -> None:
    page = open_call(viewport={"width": 360, "height": 640})
    page.get_by_text("The timeline as a table").click()
    picture = page.locator("[data-part=picture]")
    picture.evaluate("(element) => { element.scrollLeft = 120 }")
    page.get_by_role("button", name="Hang up").focus()
    page.evaluate("window.scrollTo(0, 200)")

    tell(call, 3)
    says(page, "Caller answered")

    expect(page.get_by_role("button", name="Hang up")).to_be_focused()
    assert page.evaluate("window.scrollY") == 200
    assert picture.evaluate("(element) => element.scrollLeft") == 120
    expect(page.locator("details.poketalk-table")).to_have_attribute("open", "")


def test_when_the_button_goes_the_focus_goes_to_the_state(
    open_call: Open, call: CallRequest
) -> None:
    page = open_call()
    page.get_by_role("button", name="Hang up").focus()

    tell(call, 2)

    says(page, "Caller not reached")
    expect(page.locator("#poketalk-live").get_by_role("status")).to_be_focused()


def test_only_the_state_is_read_out(open_call: Open) -> None:
    page = open_call()

    expect(page.locator("#poketalk-live [aria-live], #poketalk-live [role=status]")).to_have_count(
        1
    )


def test_a_call_is_ended_from_its_page(open_call: Open, call: CallRequest) -> None:
    page = open_call()

    page.get_by_role("button", name="Hang up").click()

    expect(page.get_by_text("The call is being ended.")).to_be_visible()
    says(page, "Hanging up. The call ends at")
    assert tell(call, 3) == 412
    expect(page.locator(".poketalk-timeline [data-refused]")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_works_without_script(scheme: str, open_call: Open, call: CallRequest) -> None:
    page = open_call(java_script_enabled=False, color_scheme=scheme)
    expect(page.get_by_role("img", name=re.compile("^The call from"))).to_be_visible()

    page.get_by_role("button", name="Block the callee").click()
    expect(page.get_by_text("Already blocked.")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()

    expect(page.get_by_text("The call is being ended.")).to_be_visible()


def test_everything_fits_a_narrow_screen(open_call: Open, call: CallRequest) -> None:
    CallRequest.objects.update(response_detail="x" * 255, veto_reason="y" * 200)
    page = open_call(viewport={"width": 360, "height": 640})

    width = "document.documentElement"
    assert page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth")


def test_time_runs_from_left_to_right_in_every_language(
    open_call: Open, call: CallRequest, settings: Any
) -> None:
    tell(call, 3)
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


def test_a_lost_connection_is_said_and_found_again(
    open_call: Open, call: CallRequest, problems: list[str]
) -> None:
    page = open_call()
    page.route("**/live/", lambda route: route.abort())
    says(page, "No connection to this site. Trying again …")

    page.unroute("**/live/")
    tell(call, 3)

    says(page, "Caller answered")
    expect(page.locator(".poketalk-lost")).to_have_count(0)
    problems.clear()


def test_whoever_was_logged_out_is_told(open_call: Open) -> None:
    page = open_call()

    page.context.clear_cookies(name=project.SESSION_COOKIE_NAME)

    says(page, "This page is out of date. Reload it to see the current state of the call.")


def test_what_is_over_is_not_asked_after(open_call: Open, call: CallRequest) -> None:
    CallRequest.objects.update(ended_at=timezone.now() - timedelta(minutes=1), status=8)
    page = open_call()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.wait_for_timeout(2500)

    assert asked == []


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_keeps_nobody_out(
    scheme: str, open_call: Open, call: CallRequest, problems: list[str]
) -> None:
    for status in (3, 5, 7, 7, 5):  # the last two repeated and late
        tell(call, status, status)
    requesting.hang_up(call)
    tell(call, 7, 60)
    page = open_call(color_scheme=scheme)
    page.get_by_text("The timeline as a table").click()

    assert problems == []
    assert barriers(page) == []
    CallRequest.objects.update(placement=Placement.UNKNOWN, status=None)
    page.goto(page.url.replace("/change/", "/resolve/"))
    page.get_by_role("button", name="Save outcome").click()
    expect(page.get_by_text("This field is required.").first).to_be_visible()
    assert barriers(page) == []
    problems.clear()  # axe-core's own styles
