"""With the theme, every page of both halves works, and its buttons do what they say."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.test import Client
from playwright.sync_api import Page, expect

from django_poketalk.models import CallRequest, Phone
from django_poketalk.server import models as service_models
from tests.admin_pages import CALLEE, CALLER, make_rows, pages
from tests.crm.models import Contact

from ..service import Service
from ..steps import hang_up_button, wait_for_request

# django-unfold 0.110 on Django 6.1
pytestmark = pytest.mark.filterwarnings(r"ignore:Overriding get_action_choices\(\) without")

CALLS = "/admin/poketalk/callrequest/"
SERVED_CALLS = "/admin/poketalk_server/call/"


@pytest.mark.usefixtures("no_worker")
def test_every_page_works(boss: Client) -> None:
    make_rows()
    visited = 0
    for page in pages(admin.site):
        response = boss.get(f"/admin/{page}")

        assert response.status_code in (200, 302, 403, 404, 405), page
        visited += response.status_code == 200
    assert visited > 50


@pytest.fixture
def bob(boss: Client) -> Contact:
    Phone.objects.create(user_id=boss.session["_auth_user_id"], number=CALLER)
    return Contact.objects.create(name="Bob", phone=CALLEE)


@pytest.mark.parametrize("place", ["change page", "list"])
def test_the_call_button_rings_the_phone_and_saves_nothing(
    page: Page, service: Service, bob: Contact, place: str
) -> None:
    page.goto(f"/admin/crm/contact/{f'{bob.pk}/change/' if place == 'change page' else ''}")
    if place == "change page":
        page.get_by_label("Name").fill("Not saved")

    page.get_by_role("button", name="Call: Bob").click()

    wait_for_request(page, service)
    expect(hang_up_button(page)).to_be_visible()
    assert CallRequest.objects.get().subject == bob
    bob.refresh_from_db()
    assert bob.name == "Bob"


@pytest.mark.usefixtures("no_worker")
def test_hang_up_ends_the_call_in_both_halves(page: Page, boss: Client) -> None:
    make_rows()
    call, served = CallRequest.objects.get(), service_models.Call.objects.get()
    for address in (f"{CALLS}{call.pk}/change/", f"{SERVED_CALLS}{served.pk}/change/"):
        page.goto(address)
        page.get_by_role("button", name="Hang up").click()
        expect(page.get_by_role("button", name="Hang up")).to_have_count(0)

    call.refresh_from_db()
    served.refresh_from_db()
    assert call.hangup_requested_at is not None
    assert served.hangup_requested_at is not None


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("link", ["Place a call", "Reports"])
def test_the_list_of_calls_leads_to_its_other_pages(page: Page, boss: Client, link: str) -> None:
    make_rows()
    page.goto(CALLS)

    page.get_by_role("link", name=link, exact=True).click()

    expect(page).to_have_url(re.compile(f"{CALLS}(place|reports)/"))
