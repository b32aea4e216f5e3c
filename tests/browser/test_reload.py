"""A call that is going on is there again after a reload, and buttons work whose form is elsewhere:
in the admin's list, and in the text of a page.
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
from .steps import Visit, asked, call_button, hang_up_button, reach, says


@pytest.fixture
def keeper(anna: Any) -> Any:
    """Anna, who keeps the contacts in the admin."""
    anna.is_staff = True
    anna.save()
    anna.user_permissions.add(*Permission.objects.filter(content_type__app_label="crm"))
    return anna


def test_a_call_is_shown_again_after_a_reload_and_can_be_ended(
    visit: Visit, service: Service
) -> None:
    page = visit()
    reach(page, service, 1, 3, 7)
    says(page, "Connected")

    page.reload()

    says(page, "Connected")
    expect(page.locator("poketalk-call").get_by_role("timer")).not_to_be_empty()
    hang_up_button(page).click()
    says(page, re.compile("^Hanging up … The call ends"))
    service.tell(8, 5, "0.08")
    says(page, "Ended, 5 s, 0.08")


def test_after_its_end_the_same_button_makes_another_call(visit: Visit, service: Service) -> None:
    page = visit()
    reach(page, service, 1)
    page.reload()
    says(page, "Calling your phone …")
    service.tell(2)
    says(page, "Your phone could not be reached: busy, no answer or declined.")

    call_button(page).click()
    asked(page, service, times=2)

    assert CallRequest.objects.count() == 2


def test_a_tab_that_is_opened_during_a_call_shows_it_too(visit: Visit, service: Service) -> None:
    first = visit()
    reach(first, service, 1, 3)

    second = visit(first.context)

    says(second, "Ringing Bob …")
    service.tell(4)
    for page in (first, second):
        says(page, "Ended before Bob answered.")


def test_without_script_a_reload_tells_how_the_call_stands(visit: Visit, service: Service) -> None:
    page = visit()
    reach(page, service, 1, 3)

    plain = visit(java_script_enabled=False)

    says(plain, "Ringing Bob …")
    plain.get_by_role("link", name="Details").click()
    expect(plain.get_by_role("button", name="Hang up")).to_be_visible()


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize("where", ["/crm/crm/contact/", "/crm/crm/contact/{pk}/change/"])
def test_in_the_admin_a_call_is_shown_in_place(
    where: str, visit: Visit, service: Service, bob: Contact
) -> None:
    page = visit()
    page.goto(where.format(pk=bob.pk))
    address = page.url

    reach(page, service, 1, 3)
    says(page, "Ringing Bob …")
    page.reload()
    says(page, "Ringing Bob …")
    hang_up_button(page).click()
    expect(hang_up_button(page)).to_be_hidden()
    service.tell(4)
    says(page, "Ended before Bob answered.")

    assert page.url == address
    bob.refresh_from_db()
    assert CallRequest.objects.get().subject == bob


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize("where", ["/crm/crm/contact/", "/crm/crm/contact/{pk}/change/"])
def test_in_the_admin_it_works_without_script(where: str, visit: Visit, bob: Contact) -> None:
    page = visit(java_script_enabled=False)
    page.goto(where.format(pk=bob.pk))

    call_button(page).click()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    expect(page).to_have_url(re.compile(f"{re.escape(where.format(pk=bob.pk))}$"))


def number_button(page: Page) -> Any:
    return page.get_by_role("button", name="Call +442079460123: Bob")


def test_a_number_in_the_text_can_be_called(visit: Visit, service: Service, bob: Contact) -> None:
    page = visit()
    page.goto(f"/cards/{bob.pk}/")
    expect(number_button(page)).to_have_text(bob.phone)
    expect(page.get_by_role("link")).to_have_text(bob.phone)

    number_button(page).press("Enter")
    asked(page, service)
    service.tell(3)

    says(page, "Ringing Bob …")
    service.tell(6)
    says(page, "Bob could not be reached: busy, no answer or declined.")


def test_a_number_in_the_text_can_be_called_without_script(visit: Visit, bob: Contact) -> None:
    page = visit(java_script_enabled=False)
    page.goto(f"/cards/{bob.pk}/")

    number_button(page).click()

    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
