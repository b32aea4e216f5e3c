"""The live boards of both halves: calls appear and leave by themselves, and are hung up there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from django_poketalk.calls import requesting
from django_poketalk.models import CallRequest
from django_poketalk.server.models import Call
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import connected, someone
from tests.server import money
from tests.server.conftest import make_customer

from .axe import accessibility_violations
from .conftest import REPORT_VIOLATIONS, TIMEOUT, record_problems

BOARD = "/admin/poketalk/callrequest/board/"


@pytest.fixture
def new_call(no_worker: None, site: str) -> Callable[..., CallRequest]:
    def make(**changes: Any) -> CallRequest:
        return requesting.request_call(**{"from_number": CALLER, "to_number": CALLEE, **changes})

    return make


@pytest.fixture
def watch(browser: Browser, site: str, problems: list[str]) -> Iterator[Callable[..., Page]]:
    """Open a page as a superuser, in a browser context with these options."""
    boss = someone("boss", is_staff=True, is_superuser=True)
    contexts = []

    def open_page(address: str = BOARD, **options: Any) -> Page:
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
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def test_calls_appear_on_an_empty_board_tick_and_leave(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    page = watch()
    expect(page.get_by_text("Nobody is on the phone.")).to_be_visible()
    expect(page.get_by_role("link", name="Refresh")).to_be_hidden()

    call = connected(new_call(), b_answered_at=timezone.now() - timedelta(seconds=55))
    row = page.locator(f'tr[data-key="{call.pk}"]')
    clock = row.locator("[data-since]")
    expect(row).to_contain_text("Connected")
    expect(page.get_by_role("status")).to_have_text("1 live call")
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)

    other = connected(new_call(), status=3, b_answered_at=None)
    expect(page.locator("[data-part=rows] tr").first).to_have_attribute("data-key", str(other.pk))
    connected(call, status=8, ended_at=timezone.now())
    expect(row).to_have_count(0)
    expect(page.locator("[data-part=rows] tr")).to_have_count(1)


def test_a_call_is_hung_up_in_its_row_and_focus_is_kept(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call())
    page = watch()

    page.get_by_role("button", name="Hang up").press("Enter")

    row = page.locator(f'tr[data-key="{call.pk}"]')
    expect(row).to_contain_text("Hanging up")
    expect(row.get_by_role("button")).to_have_count(0)
    call.refresh_from_db()
    assert call.hangup_requested_at is not None


def test_the_service_s_calls_appear_on_an_empty_board_and_leave(
    watch: Callable[..., Page],
) -> None:
    customer = make_customer()
    page = watch("/admin/poketalk_server/call/board/")
    expect(page.get_by_text("No calls are in progress.")).to_be_visible()

    call = customer.new_call()
    assert money.queue(call, Decimal("0.5"))
    row = page.locator(f'tr[data-key="{call.pk}"]')
    expect(row).to_contain_text("Queued")
    call.legs.create(
        side="A", attempt=1, gateway=customer.gateway, number="442079460000",
        price_per_minute=0, connect_fee=0, initial_increment=1, subsequent_increment=1,
        answered_at=timezone.now(),
    )  # fmt: skip
    expect(row).to_contain_text(f"{customer.gateway} · answered")
    row.get_by_role("button", name="Hang up").click()
    expect(row).to_contain_text("Hanging up")
    Call.objects.filter(pk=call.pk).update(state=Call.State.ENDED, held=0)
    expect(row).to_have_count(0)


def test_the_board_works_without_a_script(
    watch: Callable[..., Page], new_call: Callable[..., CallRequest]
) -> None:
    connected(new_call())
    plain = watch(java_script_enabled=False, viewport={"width": 360, "height": 800})
    expect(plain.get_by_role("link", name="Connected")).to_be_visible()
    connected(new_call(), status=3, b_answered_at=None)
    plain.get_by_role("link", name="Refresh").click()
    expect(plain.get_by_text("2 live calls")).to_be_visible()
    plain.get_by_role("button", name="Hang up").first.click()
    expect(plain).to_have_url(re.compile(f"{BOARD}$"))
    expect(plain.get_by_text("Hanging up")).to_be_visible()


@pytest.mark.needs("axe")
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_the_board_is_accessible(
    width: int,
    scheme: Any,
    watch: Callable[..., Page],
    new_call: Callable[..., CallRequest],
    problems: list[str],
) -> None:
    connected(new_call())
    page = watch(color_scheme=scheme, viewport={"width": width, "height": 800})
    assert problems == []
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles
