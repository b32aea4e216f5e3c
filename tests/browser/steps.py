"""Steps that the tests of the call element share. The user Anna calls the contact Bob."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from django_poketalk.models import CallRequest, Placement

from .service import Service

Visit = Callable[..., Page]


def call_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Call: Bob")


def hang_up_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Hang up: Bob")


def expect_status(page: Page, sentence: str | re.Pattern[str]) -> None:
    """Wait until the element's live region has this text."""
    sentences = page.locator("poketalk-call [data-poketalk=sentence]")
    expect(page.get_by_role("status").and_(sentences)).to_have_text(sentence)


def place_call(page: Page, service: Service, *statuses: int) -> None:
    """Press the button, wait for the request, and send events with these statuses."""
    call_button(page).click()
    expect(page.locator("poketalk-call")).to_have_attribute("phase", "calling")
    wait_for_request(page, service)
    for status in statuses:
        assert service.send_event(status, cost="0.08" if status > 5 else "0") == 200


def wait_for_request(page: Page, service: Service, times: int = 1) -> None:
    """Wait until the service has received `times` requests and its answers are recorded."""
    for _ in range(200):
        done = CallRequest.objects.exclude(placement__in=[Placement.QUEUED, Placement.SENDING])
        if len(service.requests) >= times and done.count() >= times:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"The service received {len(service.requests)} requests, not {times}.")
