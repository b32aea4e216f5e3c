"""A live call is displayed again after a reload. Buttons work outside their form, such as in the
admin's list or in text.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from playwright.sync_api import Page, expect

from django_poketalk.models import CallRequest
from tests.crm.models import Contact

from .service import Service
from .steps import Visit, call_button, expect_status, hang_up_button, place_call, wait_for_request


@pytest.fixture
def contact_editor(anna: Any) -> Any:
    """Anna, with access to the contacts in the admin."""
    anna.is_staff = True
    anna.save()
    anna.user_permissions.add(*Permission.objects.filter(content_type__app_label="crm"))
    return anna


def test_a_live_call_is_displayed_after_a_reload_and_can_be_hung_up(
    visit: Visit, service: Service
) -> None:
    page = visit()
    place_call(page, service, 1, 3, 7)
    expect_status(page, "Connected")

    page.reload()

    expect_status(page, "Connected")
    expect(page.locator("poketalk-call").get_by_role("timer")).not_to_be_empty()
    hang_up_button(page).click()
    expect_status(page, re.compile("^Hanging up … The call ends"))
    service.send_event(8, 5, "0.08")
    expect_status(page, re.compile(r"^Ended, \d s, 0\.08$"))


def test_the_button_places_another_call_after_the_call_has_ended(
    visit: Visit, service: Service
) -> None:
    page = visit()
    place_call(page, service, 1)
    page.reload()
    expect_status(page, "Calling your phone …")
    service.send_event(2)
    expect_status(page, "Your phone could not be reached.")

    call_button(page).click()
    wait_for_request(page, service, times=2)

    assert CallRequest.objects.count() == 2


def test_a_new_tab_displays_the_live_call(visit: Visit, service: Service) -> None:
    first = visit()
    place_call(first, service, 1, 3)

    second = visit(first.context)

    expect_status(second, "Ringing Bob …")
    service.send_event(4)
    for page in (first, second):
        expect_status(page, "Ended before Bob answered.")


def test_without_javascript_a_reload_displays_the_status(visit: Visit, service: Service) -> None:
    page = visit()
    place_call(page, service, 1, 3)

    plain = visit(java_script_enabled=False)

    expect_status(plain, "Ringing Bob …")
    plain.get_by_role("link", name="Details").click()
    expect(plain.get_by_role("button", name="Hang up")).to_be_visible()


@pytest.mark.usefixtures("contact_editor")
@pytest.mark.parametrize("path", ["/crm/crm/contact/", "/crm/crm/contact/{pk}/change/"])
def test_a_call_from_the_admin_is_displayed_on_the_same_page(
    path: str, visit: Visit, service: Service, bob: Contact
) -> None:
    page = visit()
    page.goto(path.format(pk=bob.pk))
    address = page.url

    place_call(page, service, 1, 3)
    expect_status(page, "Ringing Bob …")
    page.reload()
    expect_status(page, "Ringing Bob …")
    hang_up_button(page).click()
    expect(hang_up_button(page)).to_be_hidden()
    service.send_event(4)
    expect_status(page, "Ended before Bob answered.")

    assert page.url == address
    bob.refresh_from_db()
    assert CallRequest.objects.get().subject == bob


@pytest.mark.usefixtures("contact_editor")
@pytest.mark.parametrize("path", ["/crm/crm/contact/", "/crm/crm/contact/{pk}/change/"])
def test_the_button_in_the_admin_works_without_javascript(
    path: str, visit: Visit, bob: Contact
) -> None:
    page = visit(java_script_enabled=False)
    page.goto(path.format(pk=bob.pk))

    call_button(page).click()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    expect(page).to_have_url(re.compile(f"{re.escape(path.format(pk=bob.pk))}$"))


def button_in_text(page: Page) -> Any:
    return page.get_by_role("button", name="Call +442079460123: Bob")


def test_a_button_in_text_places_a_call(visit: Visit, service: Service, bob: Contact) -> None:
    page = visit()
    page.goto(f"/cards/{bob.pk}/")
    expect(button_in_text(page)).to_have_text(bob.phone)
    expect(page.get_by_role("link")).to_have_text(bob.phone)

    button_in_text(page).press("Enter")
    wait_for_request(page, service)
    service.send_event(3)

    expect_status(page, "Ringing Bob …")
    service.send_event(6)
    expect_status(page, "Bob could not be reached.")


def test_a_button_in_text_works_without_javascript(visit: Visit, bob: Contact) -> None:
    page = visit(java_script_enabled=False)
    page.goto(f"/cards/{bob.pk}/")

    button_in_text(page).click()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
