"""The page of a call: its state, its log, and hanging up."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from django_poketalk.presentation import call_status
from django_poketalk.shared.moments import moment_with_zone
from tests.crm.models import Contact

from ..conftest import CALLEE
from ..people import agent, connected, contact, contains_number, logged_in, page, someone

PLACE = "/poketalk/place/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def test_the_page_has_the_state_duration_cost_and_log(
    anna: Any, bob: Contact, new_call: Callable[..., CallRequest]
) -> None:
    at = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
    call = connected(
        new_call(user=anna, subject=bob),
        a_initiated_at=at,
        a_answered_at=at + timedelta(seconds=4),
        b_answered_at=at + timedelta(seconds=61),
    )

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "<title>Connected – Bob</title>" in html
    assert "<dd>1:15</dd>" in html
    assert "<dd>0.421</dd>" in html
    assert "+44 20 7946 0123" in html
    story = re.findall(r"<time[^>]*>[^<]* (\d\d:\d\d:\d\d)</time>", html)
    assert story[:3] == ["09:00:00", "09:00:04", "09:01:01"]
    badges = re.findall(r'class="poketalk-badge">(\w+)</span>', html)
    assert badges == ["Caller", "Caller", "Callee", "Callee"]


def test_a_scheduled_call_says_when_and_can_be_canceled(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    due = timezone.now() + timedelta(hours=5)
    call = new_call(user=anna, not_before=due)
    client = logged_in(anna)

    html = page(client.get(f"/poketalk/{call.pk}/"))

    assert "<title>Scheduled</title>" in html
    assert f"Your phone will ring on {moment_with_zone(due)}" in html
    assert "Cancel this call</button>" in html
    assert "Hang up" not in html
    assert 'data-wait="3600"' in html
    page(client.post(f"/poketalk/{call.pk}/hang-up/", follow=True))
    call.refresh_from_db()
    assert call.placement == Placement.CANCELLED


def test_the_page_of_a_scheduled_call_looks_from_shortly_before_it_is_due(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    now = timezone.now()
    waits = [
        call_status.refresh_after(new_call(user=anna, not_before=now + timedelta(seconds=seconds)))
        for seconds in (86400, 630, 20)
    ]

    assert waits[0] == 3600
    assert 590 <= (waits[1] or 0) <= 600
    assert waits[2] == 3


def test_another_user_s_call_is_404(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna)
    eve = logged_in(agent("eve"))

    page(eve.get(f"/poketalk/{call.pk}/"), 404)
    page(eve.get(f"/poketalk/{call.pk}/status/"), 404)
    page(eve.post(f"/poketalk/{call.pk}/hang-up/"), 404)

    call.refresh_from_db()
    assert call.placement == Placement.QUEUED


def test_watchers_see_masked_numbers_without_the_permission(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)
    watcher = someone("watcher", "view_callrequest")
    auditor = someone("auditor", "view_callrequest", "view_numbers")

    masked = page(logged_in(watcher).get(f"/poketalk/{call.pk}/"))
    whole = page(logged_in(auditor).get(f"/poketalk/{call.pk}/"))

    assert "+44 ••••••••23" in masked
    assert not contains_number(masked)
    assert "+44 20 7946 0123" in whole


def test_an_answer_with_only_a_code_is_not_repeated_as_a_detail(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)
    CallRequest.objects.update(response_code="60", response_detail="60")
    plain = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))
    CallRequest.objects.update(response_code="60", response_detail="60 ERROR. Listed by hand.")
    wordy = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "Details" not in plain
    assert "Details" in wordy
    assert "Listed by hand." in wordy


def test_markup_from_outside_is_escaped(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna, subject=contact(INJECTED))
    CallRequest.objects.update(
        placement=Placement.REJECTED, response_detail=INJECTED, veto_reason=INJECTED
    )

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 4  # title, heading, answer, reason


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"status": 1}, "3"),
        ({"status": 7}, "10"),
        ({"placement": Placement.UNKNOWN, "status": None}, "3"),
        ({"status": 8, "ended_at": timezone.now()}, None),
        ({"stale_at": timezone.now()}, None),
        ({"placement": Placement.EXPIRED, "status": None}, None),
    ],
)
def test_the_page_reloads_while_the_call_is_open(
    changes: dict[str, Any], seconds: str | None, anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna), **changes)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    found = re.search(r'http-equiv="refresh" content="(\d+)"', html)
    assert (found[1] if found else None) == seconds


def test_users_can_stop_the_page_from_reloading(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))
    client = logged_in(anna)

    html = page(client.get(f"/poketalk/{call.pk}/?next=/contacts/7/"))
    assert 'href="?refresh=off&amp;next=%2Fcontacts%2F7%2F"' in html

    html = page(client.get(f"/poketalk/{call.pk}/?refresh=off&next=/contacts/7/"))
    assert 'http-equiv="refresh"' not in html
    assert f'href="/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F"' in html


@pytest.mark.parametrize(
    "claimed", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil", ""]
)
def test_the_back_link_never_leaves_the_site(
    claimed: str, anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/", {"next": claimed}))

    assert "poketalk-back" not in html
    assert "evil" not in html


def test_the_back_link_of_an_https_page_is_https(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    address, client = f"/poketalk/{new_call(user=anna).pk}/", logged_in(anna)

    for scheme, is_link in (("https", True), ("http", False)):
        answer = client.get(address, {"next": f"{scheme}://testserver/contacts/"}, secure=True)
        assert ("poketalk-back" in page(answer)) == is_link


def test_the_page_has_a_back_link(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/", {"next": '/contacts/"><b>/'}))

    assert 'href="/contacts/&quot;&gt;&lt;b&gt;/"' in html


def test_owners_can_call_again_after_the_end(
    anna: Any, bob: Contact, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna, subject=bob), status=8, ended_at=timezone.now())
    client = logged_in(anna)
    html = page(client.get(f"/poketalk/{call.pk}/"))

    signed = re.search(r'name="token" value="([^"]+)"', html)
    assert signed
    client.post(PLACE, {"token": signed[1]})

    again = CallRequest.objects.exclude(pk=call.pk).get()
    assert (again.to_number, again.subject) == (CALLEE, bob)


def test_a_call_with_an_unknown_outcome_has_no_call_again_button(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna), placement=Placement.UNKNOWN, status=None)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "Check before you call again" in html
    assert "Call again" not in html


def test_a_call_with_erased_numbers_has_a_page_of_its_own(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna), status=8, ended_at=timezone.now(), to_number="")

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "deleted" in html
    assert "Call again" not in html


def test_a_call_about_a_deleted_object_has_a_page(
    anna: Any, bob: Contact, new_call: Callable[..., CallRequest]
) -> None:
    gone, unfit, unknown = (new_call(user=anna, subject=bob) for _ in range(3))
    CallRequest.objects.filter(pk=unfit.pk).update(subject_id="not a number")
    removed = ContentType.objects.create(app_label="removed", model="thing")
    CallRequest.objects.filter(pk=unknown.pk).update(subject_type=removed)
    bob.delete()

    for call in (gone, unfit, unknown):
        assert "<h1>Call</h1>" in page(logged_in(anna).get(f"/poketalk/{call.pk}/"))


def test_the_status_is_available_as_json(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = connected(new_call(user=anna))
    client = logged_in(anna)

    live = client.get(f"/poketalk/{call.pk}/status/").json()
    assert live == {
        "id": call.pk,
        "callee": "+44 20 7946 0123",
        "phase": "talking",
        "sentence": "Connected",
        "clock": 0,
        "next_report": None,
        "cost_text": "0.421",
        "may_hang_up": True,
        "placement": "accepted",
        "status": 7,
        "state": "connected",
        "talk_time": None,
        "duration": 75,
        "cost": "0.420500",
        "currency": "",
        "open": True,
        "ended": None,
        "wrap_up": None,
    }

    connected(call, status=8, ended_at=datetime.fromisoformat("2026-03-02T09:00:00+00:00"))
    over = client.get(f"/poketalk/{call.pk}/status/")
    assert (over.json()["open"], over.json()["ended"]) == (False, "2026-03-02T09:00:00+00:00")
    assert "no-store" in over["Cache-Control"]


# Hanging up


def test_owners_can_cancel_a_waiting_call(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna)

    response = logged_in(anna).post(f"/poketalk/{call.pk}/hang-up/", {"next": "/contacts/7/"})

    call.refresh_from_db()
    assert response.url == f"/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F"
    assert (call.placement, call.hangup_requested_by) == (Placement.CANCELLED, anna)


def test_owners_can_hang_up_an_open_call(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = connected(new_call(user=anna))
    client = logged_in(anna)
    assert "Hang up</button>" in page(client.get(f"/poketalk/{call.pk}/"))

    html = page(client.post(f"/poketalk/{call.pk}/hang-up/", follow=True))

    call.refresh_from_db()
    assert call.hangup_requested_by == anna
    assert "The call ends at the service’s next report" in html
    assert "Hang up</button>" not in html


def test_watchers_require_the_permission_to_hang_up(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))
    watcher = someone("watcher", "view_callrequest")
    boss = someone("boss", "view_callrequest", "hang_up_any_call")

    assert "Hang up</button>" not in page(logged_in(watcher).get(f"/poketalk/{call.pk}/"))
    page(logged_in(watcher).post(f"/poketalk/{call.pk}/hang-up/"), 403)
    call.refresh_from_db()
    assert call.hangup_requested_at is None

    assert "Hang up</button>" in page(logged_in(boss).get(f"/poketalk/{call.pk}/"))
    page(logged_in(boss).post(f"/poketalk/{call.pk}/hang-up/"), 302)
    call.refresh_from_db()
    assert call.hangup_requested_by == boss


def test_hanging_up_requires_the_csrf_token(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)

    page(logged_in(anna, enforce_csrf_checks=True).post(f"/poketalk/{call.pk}/hang-up/"), 403)

    call.refresh_from_db()
    assert call.placement == Placement.QUEUED


def test_a_call_s_page_makes_a_fixed_number_of_queries(
    anna: Any, bob: Contact, new_call: Callable[..., CallRequest], django_assert_num_queries: Any
) -> None:
    call = connected(new_call(user=anna, subject=bob))
    client = logged_in(anna)
    client.get(reverse("poketalk:call", args=[call.pk]))

    with django_assert_num_queries(4):  # session, user, call with its users, subject
        client.get(f"/poketalk/{call.pk}/")


@pytest.mark.parametrize(("language", "to"), [("de", "An"), ("fr", "Vers"), ("es", "A")])
def test_the_labels_of_numbers_are_not_those_of_dates(
    language: str, to: str, anna: Any, new_call: Callable[..., CallRequest], settings: Any
) -> None:
    settings.LANGUAGE_CODE = language

    html = page(logged_in(anna).get(f"/poketalk/{new_call(user=anna).pk}/"))

    assert f"<dt>{to}</dt>" in html
