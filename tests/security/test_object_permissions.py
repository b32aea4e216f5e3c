"""Permissions for single objects: wherever a permission is asked about an object, a backend may
grant it for that object alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from django_poketalk.models import BlacklistedNumber, CallRequest, Phone, Placement
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import agent, contact, contains_number, logged_in, page, render, someone
from tests.crm import object_permissions

ADMIN = "/admin/poketalk/callrequest/"
BLACKLIST = "/admin/poketalk/blacklistednumber/"
API = "/poketalk/api/"

NewCall = Callable[..., CallRequest]
Grant = Callable[[str, Any], None]


@pytest.fixture
def eve(db: None, settings: Any) -> Any:
    """Is staff, and has no permission of `poketalk`."""
    settings.AUTHENTICATION_BACKENDS = object_permissions.BACKENDS
    return someone("eve", is_staff=True)


@pytest.fixture
def client(eve: Any) -> Client:
    return logged_in(eve)


@pytest.fixture
def grant(eve: Any) -> Iterator[Grant]:
    yield lambda permission, obj: object_permissions.granted.add((eve, permission, obj))
    object_permissions.granted.clear()


@pytest.fixture
def theirs(eve: Any, new_call: NewCall) -> CallRequest:
    return new_call(user=someone("anna"))


@pytest.fixture
def other(theirs: CallRequest, new_call: NewCall) -> CallRequest:
    return new_call(user=theirs.user)


def test_one_call_can_be_watched(
    client: Client, theirs: CallRequest, other: CallRequest, grant: Grant
) -> None:
    grant("poketalk.view_callrequest", theirs)

    for path in ("/poketalk/{}/", "/poketalk/{}/status/", f"{API}calls/{{}}/"):
        assert client.get(path.format(theirs.pk)).status_code == 200, path
        assert client.get(path.format(other.pk)).status_code == 404, path
    for path in ("change/", "live/"):
        text = page(client.get(f"{ADMIN}{theirs.pk}/{path}"))
        assert not contains_number(text)
        assert client.get(f"{ADMIN}{other.pk}/{path}").status_code == 403
    assert client.get(f"{ADMIN}{10**9}/change/").status_code == 403  # as if it existed
    assert client.get(ADMIN).status_code == 403


def test_one_call_can_be_hung_up(
    client: Client, theirs: CallRequest, other: CallRequest, grant: Grant
) -> None:
    for call in (theirs, other):
        grant("poketalk.view_callrequest", call)
    grant("poketalk.hang_up_any_call", theirs)

    assert client.post(f"/poketalk/{other.pk}/hang-up/").status_code == 403
    assert client.post(f"{API}calls/{other.pk}/hang-up/").status_code == 403
    assert client.post(f"{ADMIN}{other.pk}/hang-up/").status_code == 403
    assert "hang-up/" not in page(client.get(f"/poketalk/{other.pk}/"))
    assert f"/poketalk/{theirs.pk}/hang-up/" in page(client.get(f"/poketalk/{theirs.pk}/"))
    client.post(f"{ADMIN}{theirs.pk}/hang-up/")

    theirs.refresh_from_db()
    assert theirs.placement == Placement.CANCELLED
    assert theirs.hangup_requested_by == client.get("/admin/").wsgi_request.user


def test_the_numbers_of_one_call_can_be_seen(
    client: Client, theirs: CallRequest, other: CallRequest, grant: Grant
) -> None:
    for call in (theirs, other):
        grant("poketalk.view_callrequest", call)
    grant("poketalk.view_numbers", theirs)

    for path in ("/poketalk/{}/", f"{API}calls/{{}}/", f"{ADMIN}{{}}/change/"):
        assert contains_number(page(client.get(path.format(theirs.pk)))), path
        assert not contains_number(page(client.get(path.format(other.pk)))), path


def test_the_events_of_one_call_can_be_seen(
    client: Client, theirs: CallRequest, grant: Grant
) -> None:
    grant("poketalk.view_callrequest", theirs)
    assert client.get(f"{API}calls/{theirs.pk}/").json()["events"] is None

    grant("poketalk.view_callevent", theirs)
    assert client.get(f"{API}calls/{theirs.pk}/").json()["events"] == []


def test_one_call_can_be_resolved(
    client: Client, theirs: CallRequest, other: CallRequest, grant: Grant
) -> None:
    CallRequest.objects.update(placement=Placement.UNKNOWN)
    grant("poketalk.view_callrequest", other)
    grant("poketalk.change_callrequest", theirs)

    for call in (theirs, other):
        client.post(f"{ADMIN}{call.pk}/resolve/", {"result": "never_rang", "note": "asked"})

    theirs.refresh_from_db()
    other.refresh_from_db()
    assert (theirs.placement, other.placement) == (Placement.FAILED, Placement.UNKNOWN)


def test_one_call_can_be_deleted(
    client: Client, theirs: CallRequest, other: CallRequest, grant: Grant
) -> None:
    for call in (theirs, other):
        grant("poketalk.view_callrequest", call)
    grant("poketalk.delete_callrequest", theirs)

    for call in (theirs, other):
        client.post(f"{ADMIN}{call.pk}/delete/", {"post": "yes"})

    assert [*CallRequest.objects.values_list("pk", flat=True)] == [other.pk]


def test_a_call_can_be_placed_about_one_object(eve: Any, grant: Grant) -> None:
    anna = agent("anna-no-view", "place_call")
    anna.user_permissions.remove(*anna.user_permissions.filter(codename="view_contact"))
    anna = type(anna).objects.get(pk=anna.pk)
    bob, carol = contact("Bob"), contact("Carol")
    object_permissions.granted.add((anna, "crm.view_contact", bob))

    assert "<button" in render('call_button contact field="phone"', anna, contact=bob)
    assert render('call_button contact field="phone"', anna, contact=carol) == ""


def test_a_shared_phone_can_ring_first(
    eve: Any, theirs: CallRequest, poketalk: Callable[..., None]
) -> None:
    user = agent("nick")
    room = Phone.objects.create(user=theirs.user, label="Meeting room", number="+442079460700")
    order = {"to_number": CALLEE, "from_number": "020 7946 0700"}
    client = logged_in(user)
    poketalk(DEFAULT_REGION="GB")
    assert client.post(f"{API}calls/", order, "application/json").status_code == 403

    object_permissions.granted.add((user, "poketalk.choose_caller_phone", room))
    try:
        placed = client.post(f"{API}calls/", order, "application/json")
        assert placed.status_code == 201
        assert CallRequest.objects.get(pk=placed.json()["id"]).from_number == room.number
        poketalk(VERIFY_PHONES="staff")
        assert client.post(f"{API}calls/", order, "application/json").status_code == 403
    finally:
        object_permissions.granted.clear()


@pytest.fixture
def entries(eve: Any) -> list[BlacklistedNumber]:
    numbers = (CALLER, CALLEE)
    return [BlacklistedNumber.objects.create(number=each, direction="to") for each in numbers]


@pytest.mark.parametrize("root", [BLACKLIST, f"{API}blacklist/"])
def test_one_blacklist_entry_can_be_viewed(
    client: Client, entries: list[BlacklistedNumber], grant: Grant, root: str
) -> None:
    grant("poketalk.view_blacklistednumber", entries[0])
    path = f"{root}{{}}/change/" if root == BLACKLIST else f"{root}{{}}/"

    assert client.get(path.format(entries[0].pk)).status_code == 200
    assert client.get(path.format(entries[1].pk)).status_code == 403
    assert client.get(root).status_code == 403


def test_one_blacklist_entry_can_be_changed_and_deleted(
    client: Client, entries: list[BlacklistedNumber], grant: Grant
) -> None:
    grant("poketalk.change_blacklistednumber", entries[0])
    grant("poketalk.delete_blacklistednumber", entries[0])

    def change(entry: BlacklistedNumber) -> int:
        body = {"reason": "asked for it"}
        path = f"{API}blacklist/{entry.pk}/"
        return client.patch(path, body, "application/json").status_code

    assert [change(entry) for entry in entries] == [200, 403]
    assert client.get(f"{API}blacklist/{10**9}/").status_code == 403
    for entry in entries:
        client.delete(f"{API}blacklist/{entry.pk}/")
    assert [entry.pk for entry in BlacklistedNumber.objects.all()] == [entries[1].pk]


def test_one_phone_can_be_verified_by_staff(
    client: Client, theirs: CallRequest, grant: Grant
) -> None:
    phones = [
        Phone.objects.create(user=theirs.user, number=number)
        for number in (CALLER, "+442079460700")
    ]
    grant("poketalk.verify_phone", phones[0])
    for phone in phones:
        grant("poketalk.change_phone", phone)
    for phone in phones:
        form = {"label": "Desk", "verified": "on"}
        client.post(f"/admin/poketalk/phone/{phone.pk}/change/", form)

    for phone in phones:
        phone.refresh_from_db()
    assert [phone.label for phone in phones] == ["Desk", "Desk"]
    assert [phone.is_verified for phone in phones] == [True, False]
