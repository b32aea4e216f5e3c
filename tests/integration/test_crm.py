"""The app inside a CRM as developers have it: what the page "Works with" promises."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from guardian.shortcuts import assign_perm
from playwright.sync_api import Page, expect

from django_poketalk.backends import locmem
from django_poketalk.calls import placing, requesting
from django_poketalk.models import CallRequest, Phone
from tests.browser.service import Service

from .conftest import CALLEE, CALLER, agent
from .people.models import Activity, ArchivedDeal, Contact, User

pytestmark = pytest.mark.django_db


def token(client: Client, contact: Contact) -> str:
    """The token of the button on the contact's page."""
    html = client.get(f"/contacts/{contact.pk}/").content.decode()
    found = re.search(r'name="token" value="([^"]+)"', html)
    assert found, html
    return found[1]


def press(client: Client, contact: Contact) -> CallRequest:
    back = f"/contacts/{contact.pk}/"
    response = client.post("/calls/place/", {"token": token(client, contact), "next": back})
    assert response.status_code == 302, response.content
    return CallRequest.objects.latest()


def request_call(user: User, about: Any) -> CallRequest:
    return requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user, subject=about)


# The users


def test_the_user_has_a_uuid(client: Client, anna: User, bob: Contact) -> None:
    call = press(client, bob)

    assert call.user == anna
    listed = client.get("/calls/api/calls/", {"user": str(anna.pk)}).json()["results"]
    assert [each["user"] for each in listed] == [str(anna.pk)]
    assert client.get(f"/calls/{call.pk}/").status_code == 200
    phones = client.get("/calls/my-phones/").content.decode()
    assert "+44 20 7946 0000" in phones
    assert Phone.objects.get().user_id == anna.pk


def test_login_leads_back_to_the_page_of_the_button(
    client: Client, anna: User, bob: Contact
) -> None:
    back = f"/contacts/{bob.pk}/"
    button = {"token": token(client, bob), "next": back}
    client.logout()

    login = client.post("/calls/place/", button)
    assert urlsplit(login.url).path == "/accounts/login/"
    answer = client.post(login.url, {"login": "anna", "password": "anna", "next": back})

    assert answer.url == back
    assert not CallRequest.objects.exists()
    assert client.post("/calls/place/", button).status_code == 302


def test_a_field_of_django_phonenumber_field_is_called(client: Client, bob: Contact) -> None:
    html = client.get(f"/contacts/{bob.pk}/").content.decode()
    assert html.count("<poketalk-call ") == 2  # the button, and the number in the text

    call = press(client, bob)
    placing.place(call.pk)

    assert [order.to_number for order in locmem.outbox] == ["442079460123"]


# Databases


@pytest.mark.django_db(databases=["default", "archive"])
def test_calls_are_about_objects_of_another_database(client: Client, anna: User) -> None:
    deal = ArchivedDeal.objects.create(name="Old deal", phone=CALLEE)
    anna.user_permissions.add(Permission.objects.get(codename="view_archiveddeal"))
    order = {
        "to_number": CALLEE,
        "subject": {"type": "people.archiveddeal", "id": str(deal.pk)},
    }

    placed = client.post("/calls/api/calls/", order, "application/json").json()
    placing.place(placed["id"])

    assert placed["subject"]["text"] == "Old deal"
    assert len(locmem.outbox) == 1
    assert CallRequest.objects.get().subject == deal
    assert "Call about Old deal" in client.get(f"/calls/{placed['id']}/").content.decode()
    deal.delete()
    assert client.get(f"/calls/api/calls/{placed['id']}/").json()["subject"]["text"] == ""


# The admin


def test_the_pages_of_the_admin_have_the_theme(client: Client, bob: Contact) -> None:
    boss = User.objects.create_superuser("boss", "boss@example.com", "boss", tenant="north")
    call = request_call(boss, bob)
    client.force_login(boss)

    for path in (
        "poketalk/callrequest/",
        f"poketalk/callrequest/{call.pk}/change/",
        "poketalk/callrequest/place/",
        "poketalk/callrequest/reports/",
        "poketalk/phone/",
        f"people/contact/{bob.pk}/change/",
    ):
        html = client.get(f"/admin/{path}").content.decode()
        assert "unfold" in html, path
    assert html.count("<poketalk-call ") == 1
    assert "field-when" in html  # the inline


# Hooks


def test_users_see_the_calls_of_their_tenant(client: Client, bob: Contact) -> None:
    watcher = agent("watcher", "view_callrequest", tenant="north")
    north = request_call(agent("nora", tenant="north"), bob)
    south = request_call(agent("simon", tenant="south"), bob)
    client.force_login(watcher)

    listed = client.get("/calls/api/calls/").json()["results"]
    html = client.get(f"/contacts/{bob.pk}/").content.decode()

    assert [each["id"] for each in listed] == [north.pk]
    assert f"/calls/{north.pk}/" in html
    assert f"/calls/{south.pk}/" not in html
    assert client.get(f"/calls/{south.pk}/").status_code == 404


def test_django_guardian_grants_a_single_call(client: Client, anna: User, bob: Contact) -> None:
    south = agent("simon", tenant="south")
    granted, other = request_call(south, bob), request_call(south, bob)
    assign_perm("poketalk.view_callrequest", anna, granted)
    assign_perm("poketalk.view_numbers", anna, granted)

    found = client.get("/calls/api/calls/").json()["results"]

    assert [(each["id"], each["to_number"]) for each in found] == [(granted.pk, CALLEE)]
    assert client.get(f"/calls/{granted.pk}/").status_code == 200
    assert client.get(f"/calls/{other.pk}/").status_code == 404
    assert client.post(f"/calls/{granted.pk}/hang-up/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_each_call_is_on_the_timeline_of_its_contact(
    client: Client, anna: User, bob: Contact
) -> None:
    call = press(client, bob)
    assert [each.text for each in bob.activities.all()] == ["Call: waiting, 0 s"]

    client.post(f"/calls/{call.pk}/hang-up/")

    assert [each.text for each in bob.activities.all()] == ["Call: canceled, 0 s"]
    assert [*bob.calls.all()] == [call]
    bob.delete()
    assert not Activity.objects.exists()
    assert not CallRequest.objects.exists()


# In a browser


@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
def test_a_call_from_a_fragment_to_its_end(page: Page, service: Service, bob: Contact) -> None:
    page.goto("/")
    page.get_by_role("button", name="Show Bob").click()  # htmx puts the card into the page
    page.get_by_role("button", name="Call: Bob").click()
    wait_for_request(page, service)
    element = page.locator("poketalk-call")

    for status in (1, 3, 5, 7):
        assert service.send_event(status, cost="0.08") == 200
    expect(element).to_have_attribute("phase", "talking")
    page.get_by_role("button", name="Hang up: Bob").click()
    expect(element).to_have_attribute("phase", "ending")
    assert service.send_event(7, 60, "0.08") == 412
    assert service.send_event(8, 61, "0.08") == 200
    expect(element).to_have_attribute("phase", "ended")

    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("heading", name="Call about Bob")).to_be_visible()
    expect(page.get_by_role("navigation")).to_contain_text("My phones")  # the frame of the site
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page).to_have_url(re.compile(r"/$"))


@pytest.mark.needs("chromium", "turbo")
@pytest.mark.django_db(transaction=True)
def test_the_button_works_after_turbo_has_replaced_the_page(
    page: Page, service: Service, bob: Contact, problems: list[str]
) -> None:
    page.goto("/?turbo")
    page.evaluate("window.stays = true")
    page.get_by_role("link", name="Bob").click()
    button = page.locator("main > poketalk-call").get_by_role("button", name="Call: Bob")
    button.click()
    wait_for_request(page, service)

    assert service.send_event(3) == 200
    expect(page.locator("main > poketalk-call")).to_have_attribute("phase", "ringing")
    assert page.evaluate("window.stays")  # Turbo has replaced the body, not loaded a page

    page.get_by_role("link", name="My phones").click()
    expect(page.get_by_role("heading", name="My phones")).to_be_visible()
    page.go_back()
    expect(page.locator("main > poketalk-call")).to_have_attribute("phase", "ringing")
    assert service.send_event(4) == 200
    expect(page.locator("main > poketalk-call")).to_have_attribute("phase", "failed")
    assert len(service.requests) == 1
    # Turbo's progress bar has an inline style, which the policy forbids without a nonce
    problems[:] = [each for each in problems if "style" not in each]


def wait_for_request(page: Page, service: Service) -> None:
    """Wait until the service has received a request and its answer is recorded."""
    for _ in range(200):
        if service.requests and CallRequest.objects.filter(placement="accepted").exists():
            return
        page.wait_for_timeout(50)
    raise AssertionError("The service received no request.")
