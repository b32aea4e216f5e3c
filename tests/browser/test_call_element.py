"""The call element: a call from the press of its button to its end, without leaving the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from django_poketalk.models import CallRequest, Placement

from .service import Service
from .steps import Visit, asked, call_button, hang_up_button, reach, says

# From the press to the end


def test_a_call_is_shown_in_place_from_the_press_to_its_end(visit: Visit, service: Service) -> None:
    page = visit()
    figures = page.locator("poketalk-call").get_by_role("timer")
    before = page.url

    reach(page, service)
    says(page, "Calling your phone …")
    service.tell(1)
    service.tell(3)
    service.tell(5)
    says(page, "Ringing Bob …")
    service.tell(7, 12, "0.08")
    says(page, "Connected")
    expect(figures).to_have_text(re.compile(r"^00:0\d · 0\.08$"))
    shown = figures.inner_text()
    expect(figures).not_to_have_text(shown)  # it runs
    service.tell(8, 180, "0.42")
    says(page, "Ended, 3 min, 0.42")

    expect(figures).to_be_empty()
    expect(hang_up_button(page)).to_be_hidden()
    expect(call_button(page)).to_have_attribute("aria-disabled", "false")
    assert page.url == before
    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()


def test_the_button_can_call_again_afterwards(visit: Visit, service: Service) -> None:
    page = visit()
    reach(page, service, 1, 2)
    says(page, "Your phone could not be reached: busy, no answer or declined.")

    call_button(page).click()
    asked(page, service, times=2)

    says(page, "Calling your phone …")
    assert CallRequest.objects.count() == 2


def test_a_callee_who_is_not_reached_is_told(visit: Visit, service: Service) -> None:
    page = visit()

    reach(page, service, 1, 3, 5, 6)

    says(page, "Bob could not be reached: busy, no answer or declined.")


# Hanging up


@pytest.mark.parametrize(
    ("statuses", "ending", "last"),
    [
        ((), 2, "Ended before Bob answered."),
        ((1,), 2, "Ended before Bob answered."),
        ((1, 3), 4, "Ended before Bob answered."),
        ((1, 3, 5), 4, "Ended before Bob answered."),
        ((1, 3, 5, 7), 8, "Ended, 5 s, 0.08"),
    ],
)
def test_a_call_can_be_ended_at_every_moment(
    statuses: tuple[int, ...],
    ending: int,
    last: str,
    visit: Visit,
    service: Service,
) -> None:
    page = visit()
    reach(page, service, *statuses)

    hang_up_button(page).click()
    says(page, re.compile("^Hanging up … The call ends"))
    expect(hang_up_button(page)).to_be_hidden()
    assert service.tell(max(1, *statuses, 0)) == 412
    service.tell(ending, 5, "0.08")

    says(page, last)


@pytest.mark.usefixtures("no_worker")
def test_a_call_that_waits_is_withdrawn(visit: Visit, service: Service) -> None:
    page = visit()
    call_button(page).click()
    expect(page.get_by_role("link", name="Details")).to_be_visible()

    hang_up_button(page).click()

    says(page, "Canceled before a phone rang.")
    assert CallRequest.objects.get().placement == Placement.CANCELLED
    assert service.asked == []


@pytest.mark.usefixtures("no_worker")
def test_hanging_up_before_the_press_is_answered_is_not_forgotten(visit: Visit) -> None:
    page = visit()
    held: list[Route] = []
    page.route("**/place/", lambda route: held.append(route))

    call_button(page).click()
    hang_up_button(page).click()
    says(page, "Hanging up …")
    held[0].continue_()

    says(page, "Canceled before a phone rang.")


def test_hanging_up_without_a_connection_is_done_once_there_is_one(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    reach(page, service, 1, 3, 5, 7)
    says(page, "Connected")

    page.context.set_offline(True)
    hang_up_button(page).click()
    says(page, "No connection to this site. Trying again …")
    page.context.set_offline(False)

    says(page, re.compile("^Hanging up … The call ends"))
    assert CallRequest.objects.get().hangup_requested_at
    assert [text for text in problems if "ERR_INTERNET_DISCONNECTED" not in text] == []
    problems.clear()


# One press, one call


def test_a_double_click_makes_one_call_and_does_not_end_it(visit: Visit, service: Service) -> None:
    page = visit()

    call_button(page).dblclick()
    asked(page, service)
    service.tell(1)
    says(page, "Calling your phone …")
    call_button(page).click(force=True)  # it says that it is disabled

    call = CallRequest.objects.get()
    assert call.hangup_requested_at is None
    assert len(service.asked) == 1


def test_a_second_tab_makes_no_second_call_and_leads_to_the_first(
    visit: Visit, service: Service, settings: Any
) -> None:
    settings.POKETALK = {**settings.POKETALK, "LIVE_CALLS_PER_USER": 1}
    first = visit()
    second = visit(first.context)

    reach(first, service, 1)
    call_button(second).click()

    says(second, "You already have a call in progress.")
    says(first, "Calling your phone …")
    assert CallRequest.objects.count() == 1
    second.get_by_role("link", name="View that call").click()
    expect(second.get_by_role("button", name="Hang up")).to_be_visible()


def test_two_tabs_with_the_same_button_show_the_same_call(visit: Visit, service: Service) -> None:
    first = visit()
    second = visit(first.context)
    token = first.locator("[name=token]").input_value()
    second.locator("[name=token]").evaluate("(input, value) => { input.value = value; }", token)

    reach(first, service, 1, 3)
    call_button(second).click()

    says(first, "Ringing Bob …")
    says(second, "Ringing Bob …")
    assert len(service.asked) == 1


def test_a_press_whose_answer_was_lost_can_be_repeated(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/place/", lose_the_answer, times=1)
    call_button(page).click()
    says(page, re.compile("^This site did not answer.*stays the same call"))
    call_button(page).click()
    asked(page, service)

    says(page, "Calling your phone …")
    assert CallRequest.objects.count() == 1
    assert [text for text in problems if "ERR_FAILED" not in text] == []
    problems.clear()


# Looking after it


def test_it_asks_less_often_while_nothing_changes(visit: Visit, service: Service) -> None:
    page = visit()
    answers: list[int] = []
    page.on("response", lambda got: answers.append(got.status) if is_look(got.request) else None)

    reach(page, service, 1)
    page.wait_for_timeout(6000)

    assert 2 <= len(answers) <= 5  # after 1, 1.5, 2.25 and 3.4 seconds, not every second
    assert answers[-1] == 304


def test_a_hidden_tab_asks_nothing_until_it_is_seen_again(visit: Visit, service: Service) -> None:
    page = visit()
    reach(page, service, 1)
    looks: list[Request] = []
    page.on("request", lambda sent: looks.append(sent) if is_look(sent) else None)

    see(page, hidden=True)
    looks.clear()
    service.tell(3)
    page.wait_for_timeout(2500)
    assert looks == []
    see(page, hidden=False)

    says(page, "Ringing Bob …")


def test_a_connection_that_is_lost_is_told_and_found_again(
    visit: Visit, service: Service, problems: list[str]
) -> None:
    page = visit()
    reach(page, service, 1, 3, 5)

    page.context.set_offline(True)
    says(page, "No connection to this site. Trying again …")
    page.context.set_offline(False)

    says(page, "Ringing Bob …")
    assert [text for text in problems if "ERR_INTERNET_DISCONNECTED" not in text] == []
    problems.clear()


def is_look(request: Request) -> bool:
    return "/status/?" in request.url


def see(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


# Without script, without mouse


def test_without_script_the_button_leads_to_the_call_s_page(visit: Visit, service: Service) -> None:
    page = visit(java_script_enabled=False)
    expect(hang_up_button(page)).to_be_hidden()

    call_button(page).click()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("button", name="Hang up")).to_be_hidden()
    assert CallRequest.objects.get().hangup_requested_at


@pytest.mark.usefixtures("no_worker")
def test_the_keyboard_is_enough(visit: Visit) -> None:
    page = visit()

    page.keyboard.press("Tab")
    expect(call_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Details")).to_be_visible()
    expect(call_button(page)).to_be_focused()
    page.keyboard.press("Tab")
    expect(hang_up_button(page)).to_be_focused()
    page.keyboard.press("Space")

    says(page, "Canceled before a phone rang.")
    expect(call_button(page)).to_be_focused()


def test_the_running_clock_is_not_read_out(visit: Visit, service: Service) -> None:
    page = visit()
    reach(page, service, 1, 3, 5, 7)
    says(page, "Connected")

    spoken = page.locator("poketalk-call").get_by_role("status")
    expect(spoken.get_by_role("timer")).to_have_count(0)
    expect(page.locator("poketalk-call").get_by_role("timer")).to_have_text(re.compile("00:"))
