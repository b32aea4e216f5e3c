"""The call element: a call from the press of its button to its end, on the same page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from django_poketalk.models import CallRequest, Placement

from .service import Service
from .steps import Visit, call_button, expect_status, hang_up_button, place_call, wait_for_request

# From start to end


def test_the_element_displays_a_call_from_start_to_end(visit: Visit, service: Service) -> None:
    page = visit()
    figures = page.locator("poketalk-call").get_by_role("timer")
    before = page.url

    place_call(page, service)
    expect_status(page, "Calling your phone …")
    service.send_event(1)
    service.send_event(3)
    service.send_event(5)
    expect_status(page, "Ringing Bob …")
    service.send_event(7, 12, "0.08")
    expect_status(page, "Connected")
    expect(figures).to_have_text(re.compile(r"^00:0\d · 0\.08$"))
    first_text = figures.inner_text()
    expect(figures).not_to_have_text(first_text)  # it keeps counting
    service.send_event(8, 90, "0.42")
    expect_status(page, re.compile(r"^Ended, 1 min (2\d|30) s, 0\.42$"))

    expect(figures).to_be_empty()
    expect(hang_up_button(page)).to_be_hidden()
    expect(call_button(page)).to_have_attribute("aria-disabled", "false")
    assert page.url == before
    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()


def test_the_button_can_call_again_afterwards(visit: Visit, service: Service) -> None:
    page = visit()
    place_call(page, service, 1, 2)
    expect_status(page, "Your phone could not be reached.")

    call_button(page).click()
    wait_for_request(page, service, times=2)

    expect_status(page, "Calling your phone …")
    assert CallRequest.objects.count() == 2


def test_an_unreached_callee_is_reported(visit: Visit, service: Service) -> None:
    page = visit()

    place_call(page, service, 1, 3, 5, 6)

    expect_status(page, "Bob could not be reached.")


# Hanging up


@pytest.mark.parametrize(
    ("statuses", "ending", "last"),
    [
        ((), 2, "Ended before Bob answered."),
        ((1,), 2, "Ended before Bob answered."),
        ((1, 3), 4, "Ended before Bob answered."),
        ((1, 3, 5), 4, "Ended before Bob answered."),
        ((1, 3, 5, 7), 8, re.compile(r"^Ended, \d s, 0\.08$")),
    ],
)
def test_a_call_can_be_hung_up_in_every_phase(
    statuses: tuple[int, ...],
    ending: int,
    last: str | re.Pattern[str],
    visit: Visit,
    service: Service,
) -> None:
    page = visit()
    place_call(page, service, *statuses)

    hang_up_button(page).click()
    expect_status(page, re.compile("^Hanging up … The call ends"))
    expect(hang_up_button(page)).to_be_hidden()
    assert service.send_event(max(1, *statuses, 0)) == 412
    service.send_event(ending, 5, "0.08")

    expect_status(page, last)


@pytest.mark.usefixtures("no_worker")
def test_a_queued_call_is_canceled(visit: Visit, service: Service) -> None:
    page = visit()
    call_button(page).click()
    expect(page.get_by_role("link", name="Details")).to_be_visible()

    hang_up_button(page).click()

    expect_status(page, "Canceled before a phone rang.")
    assert CallRequest.objects.get().placement == Placement.CANCELLED
    assert service.requests == []


@pytest.mark.usefixtures("no_worker")
def test_a_hang_up_before_the_response_is_sent_after_it(visit: Visit) -> None:
    page = visit()
    held: list[Route] = []
    page.route("**/place/", lambda route: held.append(route))

    call_button(page).click()
    hang_up_button(page).click()
    expect_status(page, "Hanging up …")
    held[0].continue_()

    expect_status(page, "Canceled before a phone rang.")


def test_a_hang_up_while_offline_is_sent_when_online_again(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    place_call(page, service, 1, 3, 5, 7)
    expect_status(page, "Connected")

    page.context.set_offline(True)
    hang_up_button(page).click()
    expect_status(page, "No connection to this site. Trying again …")
    page.context.set_offline(False)

    expect_status(page, re.compile("^Hanging up … The call ends"))
    assert CallRequest.objects.get().hangup_requested_at
    assert [text for text in problems if "ERR_INTERNET_DISCONNECTED" not in text] == []
    problems.clear()


# One press, one call


def test_a_double_click_places_one_call_and_does_not_hang_up(
    visit: Visit, service: Service
) -> None:
    page = visit()

    call_button(page).dblclick()
    wait_for_request(page, service)
    service.send_event(1)
    expect_status(page, "Calling your phone …")
    call_button(page).click(force=True)  # aria-disabled

    call = CallRequest.objects.get()
    assert call.hangup_requested_at is None
    assert len(service.requests) == 1


def test_a_second_tab_places_no_second_call_and_links_to_the_first(
    visit: Visit, service: Service, settings: Any
) -> None:
    settings.POKETALK = {**settings.POKETALK, "LIVE_CALLS_PER_USER": 1}
    first = visit()
    second = visit(first.context)

    place_call(first, service, 1)
    call_button(second).click(force=True)  # disabled as soon as it learns of the call

    expect_status(second, "You already have a call in progress.")
    expect_status(first, "Calling your phone …")
    assert CallRequest.objects.count() == 1
    second.get_by_role("link", name="View that call").click()
    expect(second.get_by_role("button", name="Hang up")).to_be_visible()


def test_two_tabs_with_the_same_button_display_the_same_call(
    visit: Visit, service: Service
) -> None:
    first = visit()
    second = visit(first.context)
    token = first.locator("[name=token]").input_value()
    second.locator("[name=token]").evaluate("(input, value) => { input.value = value; }", token)

    place_call(first, service, 1, 3)
    call_button(second).click()

    expect_status(first, "Ringing Bob …")
    expect_status(second, "Ringing Bob …")
    assert len(service.requests) == 1


def test_a_press_whose_response_was_lost_can_be_repeated(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()

    def drop_response(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/place/", drop_response, times=1)
    call_button(page).click()
    expect_status(page, re.compile("^This site did not answer.*stays the same call"))
    call_button(page).click()
    wait_for_request(page, service)

    expect_status(page, "Calling your phone …")
    assert CallRequest.objects.count() == 1
    assert [text for text in problems if "ERR_FAILED" not in text] == []
    problems.clear()


# Polling


def test_polling_slows_down_while_nothing_changes(visit: Visit, service: Service) -> None:
    page = visit()
    statuses: list[int] = []
    page.on(
        "response",
        lambda response: (
            statuses.append(response.status) if is_status_request(response.request) else None
        ),
    )

    place_call(page, service, 1)
    page.wait_for_timeout(6000)

    assert 2 <= len(statuses) <= 5  # after 1, 1.5, 2.25 and 3.4 seconds, not every second
    assert statuses[-1] == 304


def test_a_hidden_tab_does_not_poll_until_it_is_visible_again(
    visit: Visit, service: Service
) -> None:
    page = visit()
    place_call(page, service, 1)
    status_requests: list[Request] = []
    page.on(
        "request", lambda sent: status_requests.append(sent) if is_status_request(sent) else None
    )

    set_hidden(page, hidden=True)
    status_requests.clear()
    service.send_event(3)
    page.wait_for_timeout(2500)
    assert status_requests == []
    set_hidden(page, hidden=False)

    expect_status(page, "Ringing Bob …")


def test_a_lost_connection_is_reported_and_restored(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    place_call(page, service, 1, 3, 5)

    page.context.set_offline(True)
    expect_status(page, "No connection to this site. Trying again …")
    page.context.set_offline(False)

    expect_status(page, "Ringing Bob …")
    assert [text for text in problems if "ERR_INTERNET_DISCONNECTED" not in text] == []
    problems.clear()


def is_status_request(request: Request) -> bool:
    return "/status/?" in request.url


def set_hidden(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


# Without JavaScript, without a mouse


def test_without_javascript_the_button_leads_to_the_page_of_the_call(
    visit: Visit, service: Service
) -> None:
    page = visit(java_script_enabled=False)
    expect(hang_up_button(page)).to_be_hidden()

    call_button(page).click()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("button", name="Hang up")).to_be_hidden()
    assert CallRequest.objects.get().hangup_requested_at


@pytest.mark.usefixtures("no_worker")
def test_the_element_works_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit()

    page.keyboard.press("Tab")
    expect(call_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Details")).to_be_visible()
    expect(call_button(page)).to_be_focused()
    page.keyboard.press("Tab")
    expect(hang_up_button(page)).to_be_focused()
    page.keyboard.press("Space")

    expect_status(page, "Canceled before a phone rang.")
    expect(call_button(page)).to_be_focused()


def test_the_running_timer_is_outside_the_live_region(visit: Visit, service: Service) -> None:
    page = visit()
    place_call(page, service, 1, 3, 5, 7)
    expect_status(page, "Connected")

    live_region = page.locator("poketalk-call").get_by_role("status")
    expect(live_region.get_by_role("timer")).to_have_count(0)
    expect(page.locator("poketalk-call").get_by_role("timer")).to_have_text(re.compile("00:"))
