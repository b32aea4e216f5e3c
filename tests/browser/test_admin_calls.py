"""The admin's list of calls: live rows update themselves. The list works without JavaScript, on
narrow screens and with assistive technology.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from django_poketalk.calls import requesting
from django_poketalk.models import CallRequest, Placement, WrapUp
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import connected, contact, someone

from . import site as site_module
from .axe import accessibility_violations
from .conftest import REPORT_VIOLATIONS, TIMEOUT, record_problems

CALLS = "/admin/poketalk/callrequest/"
RESULTS = {"sold": "Has ordered at once and wants an offer for next year as well"}
ENDED_EARLY = {"status": 4, "veto_reason": "outside office hours"}


@pytest.fixture
def new_call(no_worker: None, site: str) -> Callable[..., CallRequest]:
    def make(**changes: Any) -> CallRequest:
        return requesting.request_call(**{"from_number": CALLER, "to_number": CALLEE, **changes})

    return make


@pytest.fixture
def watch(
    browser: Browser, site: str, problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Page]]:
    """Open the list as a superuser, in a browser context with these options."""
    # The admin's own jQuery inserts markup, which the stricter policy forbids.
    policy = site_module.POLICY.replace("; require-trusted-types-for 'script'", "")
    monkeypatch.setattr(site_module, "POLICY", policy)
    boss = someone("boss", is_staff=True, is_superuser=True)
    contexts = []

    def open_list(query: str = "", **options: Any) -> Page:
        context = browser.new_context(base_url=site, **options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        client = Client()
        client.force_login(boss)
        session = client.cookies[project.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": project.SESSION_COOKIE_NAME, "value": session, "url": site}])
        page = context.new_page()
        if options.get("java_script_enabled", True):
            page.add_init_script(REPORT_VIOLATIONS)
        record_problems(page, problems)
        page.goto(f"{CALLS}{query}")
        return page

    yield open_list
    for context in contexts:
        context.close()
    assert problems == []


def row(page: Page, call: CallRequest) -> Any:
    return page.locator("tr", has=page.locator(f'[data-poketalk-call="{call.pk}"]'))


def pill(page: Page, call: CallRequest) -> Any:
    return row(page, call).locator(".poketalk-pill")


def test_live_rows_update_until_all_calls_have_ended(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    talking, waiting = connected(new_call()), new_call()
    page = watch()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    expect(pill(page, talking)).to_have_text("Connected")
    expect(pill(page, waiting)).to_have_text("Waiting")

    connected(waiting, status=3, cost="0.11", b_answered_at=None)
    expect(pill(page, waiting)).to_have_attribute("data-phase", "ringing")
    expect(row(page, waiting).locator(".field-cost")).to_have_text("0.110")
    expect(page.locator("[data-poketalk-live]")).to_be_empty()  # ringing is not announced

    connected(talking, status=8, ended_at=timezone.now(), veto_reason="maximum cost")
    connected(waiting, status=4, ended_at=timezone.now())
    expect(pill(page, talking)).to_have_text("Ended after talking")
    expect(pill(page, talking)).to_have_attribute("data-phase", "ended")
    expect(row(page, talking).locator(".field-why")).to_have_text("maximum cost reached")
    expect(row(page, talking).locator(".field-length")).to_have_text("1:15")
    expect(pill(page, waiting)).to_have_text("Ended before the callee answered")
    expect(page.get_by_role("status")).to_contain_text(
        "Call to +44 20 7946 0123: Ended after talking"
    )

    assert all(f"id={talking.pk}" in url or f"id={waiting.pk}" in url for url in requests)
    requests.clear()
    page.wait_for_timeout(4000)
    assert requests == []


def test_the_talk_time_of_a_live_call_keeps_counting(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(), duration=0, b_answered_at=timezone.now() - timedelta(seconds=55))

    page = watch()

    length = row(page, call).locator(".field-length")
    expect(length).to_have_text(re.compile(r"1:0\d"))
    first_text = length.inner_text()
    expect(length).not_to_have_text(first_text)
    assert length.inner_text() > first_text


def test_new_calls_join_the_list_of_calls_in_progress(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    page = watch("?outcome=live")

    first = connected(new_call())
    expect(row(page, first)).to_be_visible(timeout=20_000)  # the list was empty
    second = connected(new_call())
    expect(row(page, second)).to_be_visible(timeout=20_000)

    assert page.locator("#result_list tbody tr").count() == 2
    expect(row(page, second).locator(".field-length")).to_have_text(re.compile(r"0:0[1-9]"))


def test_a_hidden_page_does_not_poll(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call())
    page = watch()
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    connected(call, status=8, ended_at=timezone.now())
    page.wait_for_timeout(4000)
    assert requests == []

    page.evaluate(hide, False)

    expect(pill(page, call)).to_have_text("Ended after talking")


def test_polling_continues_after_a_failed_request(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest], problems: list[str]
) -> None:
    call = connected(new_call())
    page = watch()
    page.route("**/live/**", lambda route: route.abort())
    connected(call, status=8, ended_at=timezone.now())
    page.wait_for_event("requestfailed")
    expect(pill(page, call)).to_have_text("Connected")

    page.unroute("**/live/**")

    expect(pill(page, call)).to_have_text("Ended after talking")
    problems[:] = [each for each in problems if "Failed to load resource" not in each]


def test_the_list_works_without_javascript(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    failed, talking = new_call(), connected(new_call())
    CallRequest.objects.filter(pk=failed.pk).update(placement=Placement.FAILED)
    page = watch(java_script_enabled=False)

    page.locator("details", has=page.locator("[name=day_from]")).locator("summary").click()
    page.get_by_label("From", exact=True).fill(timezone.localdate().isoformat())
    page.locator("form", has=page.get_by_label("From", exact=True)).get_by_role("button").click()
    in_progress = page.locator("a", has_text="In progress")
    page.locator("details", has=in_progress).locator("summary").click()
    in_progress.click()
    expect(pill(page, talking)).to_be_visible()
    expect(row(page, failed)).to_have_count(0)
    row(page, talking).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option("call_again")
    page.get_by_role("button", name=re.compile("^(Go|Run)$")).click()
    expect(page.get_by_text("It is in progress.")).to_be_visible()
    page.get_by_role("button", name="Yes, call again").click()

    expect(page.get_by_text(": calling again.")).to_be_visible()
    assert CallRequest.objects.count() == 3


@pytest.mark.parametrize("language", ["en", "he"])
@pytest.mark.parametrize("width", [360, 800, 1280, 1920])
def test_all_columns_are_visible_at_every_width(
    width: int,
    language: str,
    watch: Callable[..., Page],
    new_call: Callable[..., CallRequest],
    settings: Any,
) -> None:
    settings.LANGUAGE_CODE = language
    call = connected(new_call(), cost="12345.678", veto_reason="w" * 200)

    page = watch(viewport={"width": width, "height": 800})

    list_fits = "(table) => table.scrollWidth <= table.parentElement.clientWidth"
    assert page.locator("#result_list").evaluate(list_fits)
    for column in ("when", "caller", "callee", "outcome", "why", "length", "cost"):
        expect(row(page, call).locator(f".field-{column}")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "he"])
@pytest.mark.parametrize("width", [360, 800, 1280, 1440, 1920])
def test_long_names_leave_room_for_the_figures(
    width: int,
    language: str,
    watch: Callable[..., Page],
    new_call: Callable[..., CallRequest],
    settings: Any,
) -> None:
    settings.LANGUAGE_CODE = language
    settings.POKETALK = {**settings.POKETALK, "DISPOSITIONS": RESULTS}
    names = {"first_name": "Maximiliane Alexandra", "last_name": "von Hohenlohe"}
    user = someone("maximiliane", "place_call", **names)
    about = contact("Wissenschaftliche Gesellschaft zur Erforschung der Telefonie")
    call = connected(
        new_call(user=user, subject=about), cost="12345.678", ended_at=timezone.now(), **ENDED_EARLY
    )
    WrapUp.objects.create(call=call, disposition="sold", user=user)

    page = watch(viewport={"width": width, "height": 800})

    list_fits = "(table) => table.scrollWidth <= table.parentElement.clientWidth"
    assert page.locator("#result_list").evaluate(list_fits)
    for column in ("when", "caller", "callee", "user", "about", "outcome", "length", "cost"):
        expect(row(page, call).locator(f".field-{column}")).to_be_visible()
    expect(row(page, call).get_by_title(about.name)).to_be_visible()


@pytest.mark.parametrize("language", ["en", "he"])
@pytest.mark.parametrize("width", [360, 800, 1024, 1100, 1280, 1400, 1920])
def test_nothing_overlaps_within_a_row(
    width: int,
    language: str,
    watch: Callable[..., Page],
    new_call: Callable[..., CallRequest],
    settings: Any,
) -> None:
    settings.LANGUAGE_CODE = language
    several = {"a-service-in-the-south": {"URL": "https://calls.example.com/"}}
    settings.POKETALK = {**settings.POKETALK, "SERVICES": several}
    long = {"status": 4, "ended_at": timezone.now(), "veto_reason": "outside office hours " * 3}
    long["service"] = "a-service-in-the-south"
    call = connected(new_call(), cost="1234.567", to_number="+999123456789012", **long)

    page = watch(viewport={"width": width, "height": 800})

    overlaps = """(row) => {
        const elements = [...row.querySelectorAll(
            "time, bdi, .field-user a, .field-service span, [data-poketalk]")];
        const pills = row.querySelectorAll(".poketalk-pill");
        const visible = [...elements, ...pills].filter((element) => element.textContent.trim());
        const overlap = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
            && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        return visible.flatMap((one, index) => visible.slice(index + 1)
            .filter((other) => overlap(one.getBoundingClientRect(), other.getBoundingClientRect()))
            .map((other) => `${one.textContent} | ${other.textContent}`));
    }"""
    assert row(page, call).evaluate(overlaps) == []


@pytest.mark.needs("axe")
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_and_its_action_are_accessible(
    scheme: Any,
    width: int,
    watch: Callable[..., Page],
    new_call: Callable[..., CallRequest],
    problems: list[str],
) -> None:
    ended = {"ended_at": timezone.now()}
    for facts in (
        *({"status": status} for status in (1, 3, 7)),
        {"status": 6, **ended},
        {"status": 8, **ended},
        {"placement": "unknown", "status": None},
        {"hangup_requested_at": timezone.now()},
    ):
        connected(new_call(), **facts)

    page = watch(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert problems == []
    assert accessibility_violations(page) == []
    page.get_by_label("Select all objects on this page for an action").check()
    page.locator("select[name=action]").select_option("call_again")
    page.get_by_role("button", name=re.compile("^(Go|Run)$")).click()
    expect(page.get_by_role("button", name="Yes, call again")).to_be_visible()
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles


@pytest.mark.parametrize("width", [360, 1024, 1440])
def test_long_words_fit_into_the_tiles_of_a_report(
    width: int, watch: Callable[..., Page], settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    page = watch("", viewport={"width": width, "height": 900}, locale="de")

    page.goto(f"{CALLS}reports/")

    tiles = page.locator(".poketalk-tiles > div")
    expect(tiles.filter(has_text="Gesprächsminuten")).to_be_visible()
    assert tiles.evaluate_all("all => all.every(each => each.scrollWidth <= each.clientWidth)")
