"""The questions after a call, beside its button: answered with one key."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from django_poketalk.models import CallRequest
from tests.crm.models import Contact

from .axe import accessibility_violations
from .service import Service
from .steps import Visit, call_button, place_call


@pytest.fixture(autouse=True)
def dispositions(site: str, settings: Any) -> None:
    results = {"sold": "Sold", "refused": "Not interested", "voicemail": "Left a message"}
    settings.POKETALK = {**settings.POKETALK, "DISPOSITIONS": results}


def end_call(page: Page, service: Service) -> None:
    place_call(page, service, 1, 3, 5, 7, 8)


def panel(page: Page) -> Any:
    return page.get_by_role("group", name="Wrap-up: Bob")


def test_one_key_answers_and_returns_to_the_call_button(
    visit: Visit, bob: Contact, service: Service
) -> None:
    page = visit()
    end_call(page, service)
    expect(panel(page)).to_be_focused()

    page.keyboard.press("2")

    expect(panel(page).get_by_role("status")).to_have_text("Saved: Not interested.")
    expect(call_button(page)).to_be_focused()
    assert CallRequest.objects.get().wrapped_up.disposition == "refused"

    panel(page).get_by_role("button", name="Change").click()
    panel(page).get_by_label("Note").fill("Asks for 2 offers")
    panel(page).get_by_label("Note").press("Enter")

    expect(panel(page).get_by_role("status")).to_have_text(re.compile("^Saved"))
    row = CallRequest.objects.get().wrapped_up
    assert (row.disposition, row.note) == ("refused", "Asks for 2 offers")


@pytest.mark.needs("axe")
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_the_questions_are_accessible(
    width: int, scheme: str, visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    end_call(page, service)
    expect(panel(page)).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems == []
    assert accessibility_violations(page) == []
    problems.clear()  # axe-core's own styles


def test_a_note_survives_the_news_of_its_call(visit: Visit, service: Service) -> None:
    page = visit()
    place_call(page, service, 1, 3, 5, 7)
    page.goto(reverse("poketalk:call", args=[CallRequest.objects.get().pk]))
    state = page.locator(".poketalk-state")
    note = page.get_by_label("Note")
    page.get_by_label("Sold").check()
    note.fill("Asks for 2 off")

    service.send_event(8, 30, "0.08")

    expect(state).to_have_text("Ended after talking", timeout=15_000)
    expect(note).to_be_focused()
    page.keyboard.type("ers")
    expect(note).to_have_value("Asks for 2 offers")
    expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved: Sold.")).to_be_visible()
    assert CallRequest.objects.get().wrapped_up.note == "Asks for 2 offers"


def test_a_note_survives_hanging_up(visit: Visit, service: Service) -> None:
    page = visit()
    place_call(page, service, 1, 3, 5, 7)
    page.goto(reverse("poketalk:call", args=[CallRequest.objects.get().pk]))
    page.get_by_label("Note").fill("Asks for 2 offers")

    page.get_by_role("button", name="Hang up").click()

    expect(page.get_by_text("Hanging up …")).to_be_visible()
    expect(page.get_by_label("Note")).to_have_value("Asks for 2 offers")
    expect(page.locator(".poketalk-state")).to_be_focused()
    assert CallRequest.objects.get().hangup_requested_at


def test_without_javascript_the_form_opens_on_a_page_that_does_not_load_again(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    place_call(page, service, 1, 3, 5, 7)
    plain = visit(java_script_enabled=False)
    plain.goto(reverse("poketalk:call", args=[CallRequest.objects.get().pk]))
    note, reload = plain.get_by_label("Note"), plain.locator("meta[http-equiv=refresh]")
    expect(reload).to_have_count(1)
    expect(note).to_be_hidden()

    plain.get_by_role("link", name="Stop updating, and write the wrap-up").click()

    expect(reload).to_have_count(0)
    note.fill("Asks for 2 offers")
    plain.get_by_label("Call back at").fill("2020-01-01T10:00")  # is refused
    plain.get_by_role("button", name="Save").click()
    expect(plain.locator(".errorlist")).to_be_visible()
    problems.clear()  # the 422 of the refused form
    expect(reload).to_have_count(0)
    expect(note).to_have_value("Asks for 2 offers")
    plain.get_by_label("Call back at").fill("")
    plain.get_by_role("button", name="Save").click()
    expect(plain.get_by_text("Saved.")).to_be_visible()
    expect(reload).to_have_count(1)
    assert CallRequest.objects.get().wrapped_up.note == "Asks for 2 offers"
