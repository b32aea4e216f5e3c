"""`VISIBLE_CALLS`: calls that its function leaves out do not exist for the user, anywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk import permissions
from django_poketalk.models import BlacklistedNumber, CallRequest, Phone
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import agent, contact, logged_in, page, render, someone
from tests.crm.models import Contact

ADMIN = "/admin/poketalk/callrequest/"
PAGES = "/poketalk/"
API = "/poketalk/api/calls/"

NewCall = Callable[..., CallRequest]


@pytest.fixture(autouse=True)
def _same_team(poketalk: Callable[..., None]) -> None:
    poketalk(VISIBLE_CALLS="tests.security.rules.same_team")


@pytest.fixture
def boss(db: None) -> Any:
    """Has all permissions, and is of the north team."""
    return someone("boss", is_staff=True, is_superuser=True, last_name="north")


@pytest.fixture
def client(boss: Any) -> Any:
    return logged_in(boss)


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


@pytest.fixture
def north(bob: Contact, new_call: NewCall) -> CallRequest:
    return new_call(user=someone("nora", last_name="north"), subject=bob)


@pytest.fixture
def south(bob: Contact, new_call: NewCall) -> CallRequest:
    return new_call(user=someone("simon", last_name="south"), subject=bob)


def act(client: Any, action: str, *calls: CallRequest, **more: str) -> Any:
    order = {"action": action, "_selected_action": [call.pk for call in calls], **more}
    return client.post(ADMIN, order, follow=True)


def listed(text: str, call: CallRequest) -> bool:
    return f'"{ADMIN}{call.pk}/change/' in text


def test_the_list_in_the_admin(client: Any, north: CallRequest, south: CallRequest) -> None:
    text = page(client.get(ADMIN))

    assert listed(text, north)
    assert not listed(text, south)
    assert "simon" not in text


@pytest.mark.parametrize("search", ["simon", "{id}"])
def test_the_search_in_the_admin(
    client: Any, north: CallRequest, south: CallRequest, search: str
) -> None:
    text = page(client.get(ADMIN, {"q": search.format(id=south.webcallid)}))

    assert not listed(text, south)


@pytest.mark.parametrize("path", ["change/", "history/", "delete/", "live/", "resolve/"])
def test_pages_in_the_admin(client: Any, north: CallRequest, south: CallRequest, path: str) -> None:
    shown = client.get(f"{ADMIN}{north.pk}/{path}", follow=True)
    hidden = client.get(f"{ADMIN}{south.pk}/{path}", follow=True)

    assert shown.status_code == 200
    assert hidden.status_code == 404 or "doesn’t exist" in page(hidden)
    assert south.webcallid not in hidden.content.decode()


@pytest.mark.parametrize("path", ["hang-up/", "resolve/", "block/", "delete/"])
def test_requests_to_change_a_call_in_the_admin(client: Any, south: CallRequest, path: str) -> None:
    client.post(
        f"{ADMIN}{south.pk}/{path}", {"leg": "to", "result": "rang", "note": "asked", "post": "yes"}
    )

    south.refresh_from_db()
    assert south.is_open
    assert not BlacklistedNumber.objects.exists()


def test_actions_of_the_list(client: Any, north: CallRequest, south: CallRequest) -> None:
    act(client, "hang_up", north, south)
    act(client, "call_again", south)
    act(client, "delete_selected", south, post="yes")

    assert not CallRequest.objects.get(pk=north.pk).is_open
    assert CallRequest.objects.get(pk=south.pk).is_open
    assert CallRequest.objects.count() == 2


def test_the_csv_file(client: Any, north: CallRequest, south: CallRequest) -> None:
    response = act(client, "export_csv", north, south, select_across="1")
    rows = b"".join(response.streaming_content).decode()

    assert north.webcallid in rows
    assert south.webcallid not in rows


def test_live_rows(client: Any, north: CallRequest, south: CallRequest) -> None:
    rows = client.get(f"{ADMIN}live/", {"id": [north.pk, south.pk]}).json()["rows"]

    assert list(rows) == [str(north.pk)]


def test_autocompletion(client: Any, north: CallRequest, south: CallRequest) -> None:
    field = {"app_label": "poketalk", "model_name": "callevent", "field_name": "call"}

    found = client.get("/admin/autocomplete/", field).json()["results"]

    assert [each["id"] for each in found] == [str(north.pk)]


@pytest.mark.parametrize("by", ["day", "user", "country", "outcome"])
def test_reports(client: Any, north: CallRequest, south: CallRequest, by: str) -> None:
    today = timezone.localdate().isoformat()
    days = {"first": today, "last": today, "by": by}

    rendered = page(client.get(f"{ADMIN}reports/", days))
    rows = b"".join(client.get(f"{ADMIN}reports/", {**days, "format": "csv"}).streaming_content)

    assert "<dd><bdi>1</bdi> <small" in rendered
    assert "simon" not in rendered
    assert rows.decode().splitlines()[-1].startswith("all,,1,")


def test_figures_over_all_calls_are_not_displayed(
    client: Any, boss: Any, south: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(LIVE_CALLS=5)
    Phone.objects.create(user=boss, number=CALLER)
    order = {"from_number": CALLER, "to_number": CALLEE}

    assert "Open calls (all users)" not in page(client.post(f"{ADMIN}place/", order))

    poketalk(VISIBLE_CALLS=None)
    assert "Open calls (all users)" in page(client.post(f"{ADMIN}place/", order))


def test_the_calls_that_a_blacklist_entry_would_have_refused(
    client: Any, north: CallRequest, south: CallRequest
) -> None:
    entry = BlacklistedNumber.objects.create(number=CALLEE, direction="to")

    text = page(client.get(f"/admin/poketalk/blacklistednumber/{entry.pk}/change/"))

    assert listed(text, north)
    assert not listed(text, south)


def test_the_history_of_an_object(boss: Any, bob: Contact, north: CallRequest, south: Any) -> None:
    html = render("call_history contact", boss, contact=bob)

    assert f'"/poketalk/{north.pk}/' in html
    assert f'"/poketalk/{south.pk}/' not in html


def test_the_page_of_a_call(client: Any, north: CallRequest, south: CallRequest) -> None:
    for path in ("", "status/"):
        assert client.get(f"{PAGES}{north.pk}/{path}").status_code == 200
        assert client.get(f"{PAGES}{south.pk}/{path}").status_code == 404
    assert client.post(f"{PAGES}{south.pk}/hang-up/").status_code == 404


def test_the_api(client: Any, north: CallRequest, south: CallRequest) -> None:
    assert [each["id"] for each in client.get(API).json()["results"]] == [north.pk]
    assert client.get(f"{API}{north.pk}/").status_code == 200
    assert client.get(f"{API}{south.pk}/").status_code == 404
    assert client.post(f"{API}{south.pk}/hang-up/").status_code == 404
    assert (
        client.get(API, {"number": CALLEE}).json()["results"] == client.get(API).json()["results"]
    )


def test_a_function_can_hide_a_user_s_own_calls(new_call: NewCall) -> None:
    user = someone("nora", last_name="north")
    own = new_call(user=user)
    user.last_name = "south"  # but "north" in the database, which the function compares

    assert not permissions.may_see(user, own)
    assert not permissions.visible_calls(user).exists()


def test_a_function_only_gets_the_calls_that_the_permissions_allow(
    north: CallRequest, south: CallRequest
) -> None:
    colleague = someone("colleague", last_name="north")

    assert not permissions.may_see(colleague, north)


def test_a_function_can_show_more_than_the_permissions_do(
    north: CallRequest, south: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(VISIBLE_CALLS="tests.security.rules.also_of_team")
    lead = someone("lead", last_name="north")
    client = logged_in(lead)

    assert client.get(f"{PAGES}{north.pk}/").status_code == 200
    assert client.get(f"{PAGES}{south.pk}/").status_code == 404
    assert [each["id"] for each in client.get(API).json()["results"]] == [north.pk]
    assert client.post(f"{API}{north.pk}/hang-up/").status_code == 403


def test_visitors_see_no_calls(north: CallRequest) -> None:
    assert render("call_history contact", contact=contact()) == ""


@pytest.mark.parametrize(
    "path", ["my-calls/", "my-calls/?show=scheduled", "current/", "board/", "{}/", "{}/wrap-up/"]
)
def test_one_s_own_calls_of_another_tenant(
    path: str, bob: Contact, new_call: NewCall, poketalk: Callable[..., None]
) -> None:
    """Those of a user who went from one tenant to another."""
    anna = agent()
    later = timezone.now() + timedelta(hours=1)
    calls = [new_call(user=anna, subject=bob, not_before=at) for at in (None, later)]
    client = logged_in(anna)
    pages = [f"{PAGES}{path.format(call.pk)}" for call in calls]
    assert any("Bob" in client.get(each).content.decode() for each in pages)

    poketalk(VISIBLE_CALLS="tests.security.rules.not_about_bob")

    assert not any("Bob" in client.get(each).content.decode() for each in pages)


def test_the_calls_of_others_are_never_one_s_own(
    north: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(VISIBLE_CALLS="tests.security.rules.also_of_team")
    client = logged_in(someone("nils", "place_call", last_name="north"))

    assert "Bob" in page(client.get(f"{PAGES}board/"))
    assert "Bob" not in page(client.get(f"{PAGES}my-calls/"))
    assert client.get(f"{PAGES}current/").json() == {"calls": []}
