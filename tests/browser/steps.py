"""What Anna does at Bob's page, and what she sees there."""

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


def says(page: Page, sentence: str | re.Pattern[str]) -> None:
    """The element's live region comes to say this."""
    expect(page.locator("poketalk-call").get_by_role("status")).to_have_text(sentence)


def reach(page: Page, service: Service, *statuses: int) -> None:
    """Press the button, and have the service tell these statuses once it was asked."""
    call_button(page).click()
    expect(page.locator("poketalk-call")).to_have_attribute("phase", "calling")
    asked(page, service)
    for status in statuses:
        assert service.tell(status, cost="0.08" if status > 5 else "0") == 200


def asked(page: Page, service: Service, times: int = 1) -> None:
    """Wait until the service was asked for so many calls and its answer is in the row."""
    for _ in range(200):
        done = CallRequest.objects.exclude(placement__in=[Placement.QUEUED, Placement.SENDING])
        if len(service.asked) >= times and done.count() >= times:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"The service was asked for {len(service.asked)} calls, not {times}.")
