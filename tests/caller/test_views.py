"""The pages that people touch: pressing the button, a call, ending it, the own number."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from django_poketalk.models import BlacklistedNumber, CallerNumber, CallRequest, Placement
from tests.crm.models import Contact

from .conftest import CALLEE, CALLER
from .people import agent, contact, someone, token

PLACE = "/poketalk/place/"
OWN_NUMBER = "/poketalk/my-number/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def logged_in(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def page(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return str(response.content.decode())


def connected(call: CallRequest, **changes: Any) -> CallRequest:
    """The call as it is while both talk."""
    now = timezone.now()
    facts = {
        "placement": Placement.ACCEPTED,
        "status": 7,
        "sent_at": now,
        "placed_at": now,
        "a_initiated_at": now,
        "a_answered_at": now,
        "b_initiated_at": now,
        "b_answered_at": now,
        "duration": 75,
        "debit": Decimal("0.4205"),
        **changes,
    }
    CallRequest.objects.filter(pk=call.pk).update(**facts)
    call.refresh_from_db()
    return call


# The button


def test_a_press_makes_the_call_and_leads_to_its_page(
    anna: Any, bob: Contact, woken: list[Any]
) -> None:
    signed = token(
        anna, 'call_button contact field="phone" max_duration=90 max_debit="0.4"', contact=bob
    )

    response = logged_in(anna).post(PLACE, {"token": signed, "next": "/contacts/7/"})

    call = CallRequest.objects.get()
    assert response.status_code == 302
    assert response.url == f"/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F"
    assert (call.from_number, call.to_number, call.user) == (CALLER, CALLEE, anna)
    assert (call.subject, call.max_duration, call.max_debit) == (bob, 90, Decimal("0.4"))


def test_the_same_press_twice_is_one_call(anna: Any, bob: Contact) -> None:
    client, signed = logged_in(anna), token(anna, contact=bob)

    first, second = (client.post(PLACE, {"token": signed}) for _ in range(2))

    assert first.url == second.url
    assert CallRequest.objects.count() == 1


def test_a_replay_is_the_same_call_whatever_has_changed_since(
    anna: Any, bob: Contact, poketalk: Callable[..., None]
) -> None:
    client, signed = logged_in(anna), token(anna, contact=bob)
    first = client.post(PLACE, {"token": signed})
    Contact.objects.update(phone="")
    CallerNumber.objects.all().delete()
    poketalk(LIVE_CALLS_PER_USER=1)

    replay = client.post(PLACE, {"token": signed})

    assert replay.url == first.url
    assert CallRequest.objects.count() == 1


def test_a_number_that_the_page_sends_is_ignored(anna: Any, bob: Contact) -> None:
    forged = "+442079460666"
    order = {
        "token": token(anna, contact=bob),
        "to": forged,
        "number": forged,
        "to_number": forged,
        "from_number": forged,
        "field": "name",
    }

    logged_in(anna).post(PLACE, order)

    call = CallRequest.objects.get()
    assert (call.from_number, call.to_number) == (CALLER, CALLEE)


def test_a_press_without_the_csrf_token_is_refused(anna: Any, bob: Contact) -> None:
    client = logged_in(anna, enforce_csrf_checks=True)

    page(client.post(PLACE, {"token": token(anna, contact=bob)}), 403)

    assert not CallRequest.objects.exists()


def test_the_permission_is_checked_again_at_the_press(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    anna.user_permissions.clear()

    page(logged_in(anna).post(PLACE, {"token": signed}), 403)

    assert not CallRequest.objects.exists()


def test_a_button_of_another_user_makes_no_call(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)

    html = page(logged_in(agent("eve")).post(PLACE, {"token": signed}), 422)

    assert "made for somebody else" in html
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize("order", [{}, {"token": ""}, {"token": "eyJ1IjoiMSJ9:1abc:x"}])
def test_an_altered_button_makes_no_call(order: dict[str, str], anna: Any) -> None:
    html = page(logged_in(anna).post(PLACE, order), 422)

    assert "was altered" in html
    assert not CallRequest.objects.exists()


def test_a_button_that_is_too_old_makes_no_call(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    client = logged_in(anna)

    with time_machine.travel(timezone.now() + timedelta(hours=13), tick=False):
        html = page(client.post(PLACE, {"token": signed}), 422)

    assert "too old" in html
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize("address", [PLACE, "/poketalk/1/hang-up/"])
@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_a_post_changes_anything(address: str, method: str, anna: Any) -> None:
    response = getattr(logged_in(anna), method)(address)

    assert response.status_code == 405


@pytest.mark.parametrize("address", [PLACE, "/poketalk/1/hang-up/"])
@pytest.mark.parametrize(
    ("claimed", "after_login"),
    [
        ("/contacts/7/?tab=phones", "/contacts/7/%3Ftab%3Dphones"),
        ("https://evil.example/", "/accounts/profile/"),
        ("//evil.example/", "/accounts/profile/"),
        ("javascript:alert(1)", "/accounts/profile/"),
    ],
)
def test_whoever_was_logged_out_comes_back_to_the_page_of_the_button(
    address: str, claimed: str, after_login: str, db: None
) -> None:
    response = Client().post(address, {"next": claimed})

    assert response.status_code == 302
    assert response.url == f"/admin/login/?next={after_login}"


@pytest.mark.parametrize("address", [OWN_NUMBER, "/poketalk/1/", "/poketalk/1/status/"])
def test_pages_need_a_login(address: str, db: None) -> None:
    response = Client().get(address)

    assert response.status_code == 302
    assert response.url == f"/admin/login/?next={address}"


@pytest.mark.parametrize("address", [OWN_NUMBER, "/poketalk/1/", "/poketalk/1/status/"])
def test_pages_need_a_login_without_django_s_own_middleware_for_it_too(
    address: str, db: None, settings: Any
) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "LoginRequired" not in name]

    response = Client().get(address)

    assert response.status_code == 302
    assert response.url == f"/admin/login/?next={address}"


# Refusals


def test_a_refusal_is_a_page_with_the_sentence_and_the_way_back(anna: Any, bob: Contact) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason=INJECTED)

    response = logged_in(anna).post(
        PLACE, {"token": token(anna, contact=bob), "next": "/contacts/7/"}
    )

    html = page(response, 422)
    assert "is on the blacklist" in html
    assert 'href="/contacts/7/"' in html
    assert "<script" not in html
    assert not CallRequest.objects.exists()


def test_without_an_own_number_the_page_leads_to_where_it_is_set(anna: Any, bob: Contact) -> None:
    CallerNumber.objects.all().delete()

    response = logged_in(anna).post(
        PLACE, {"token": token(anna, contact=bob), "next": "/contacts/7/?a=1&b=2"}
    )

    html = page(response, 422)
    assert f'href="{OWN_NUMBER}?next=%2Fcontacts%2F7%2F%3Fa%3D1%26b%3D2"' in html


def test_an_object_without_a_number_by_now_is_refused(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    Contact.objects.update(phone="")

    html = page(logged_in(anna).post(PLACE, {"token": signed}), 422)

    assert "no phone number to call any more" in html


def test_what_is_no_number_is_refused_with_its_text(anna: Any) -> None:
    signed = token(anna, contact=contact(phone=INJECTED))

    html = page(logged_in(anna).post(PLACE, {"token": signed}), 422)

    assert "&lt;script&gt;" in html
    assert "<script" not in html


# The page of a call


def test_the_page_tells_state_duration_cost_and_story(
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


def test_somebody_else_s_call_is_not_there(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna)
    eve = logged_in(agent("eve"))

    page(eve.get(f"/poketalk/{call.pk}/"), 404)
    page(eve.get(f"/poketalk/{call.pk}/status/"), 404)
    page(eve.post(f"/poketalk/{call.pk}/hang-up/"), 404)

    call.refresh_from_db()
    assert call.placement == Placement.QUEUED


def test_a_watcher_sees_masked_numbers_unless_they_may_see_them(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)
    watcher = someone("watcher", "view_callrequest")
    auditor = someone("auditor", "view_callrequest", "view_numbers")

    masked = page(logged_in(watcher).get(f"/poketalk/{call.pk}/"))
    whole = page(logged_in(auditor).get(f"/poketalk/{call.pk}/"))

    assert "+44 ••••••••23" in masked
    assert "7946" not in masked
    assert "+44 20 7946 0123" in whole


def test_markup_from_outside_is_shown_as_text(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
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
        ({"silent_at": timezone.now()}, None),
        ({"placement": Placement.EXPIRED, "status": None}, None),
    ],
)
def test_the_page_loads_itself_again_while_the_call_is_open(
    changes: dict[str, Any], seconds: str | None, anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna), **changes)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    found = re.search(r'http-equiv="refresh" content="(\d+)"', html)
    assert (found[1] if found else None) == seconds


def test_people_can_stop_the_page_from_loading_itself(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))
    client = logged_in(anna)

    html = page(client.get(f"/poketalk/{call.pk}/?next=/contacts/7/"))
    assert 'href="?refresh=off&amp;next=%2Fcontacts%2F7%2F"' in html

    html = page(client.get(f"/poketalk/{call.pk}/?refresh=off&next=/contacts/7/"))
    assert 'http-equiv="refresh"' not in html
    assert 'href="?next=%2Fcontacts%2F7%2F"' in html


@pytest.mark.parametrize(
    "claimed", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil", ""]
)
def test_the_way_back_never_leaves_the_site(
    claimed: str, anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/", {"next": claimed}))

    assert "poketalk-back" not in html
    assert "evil" not in html


def test_the_way_back_is_a_link(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/", {"next": '/contacts/"><b>/'}))

    assert 'href="/contacts/&quot;&gt;&lt;b&gt;/"' in html


def test_a_call_that_is_over_can_be_made_again_by_its_owner(
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


def test_a_call_whose_outcome_is_unknown_is_not_offered_again(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna), placement=Placement.UNKNOWN, status=None)

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "Check before you call again" in html
    assert "Call again" not in html


def test_a_call_whose_numbers_were_forgotten_has_a_page(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna), status=8, ended_at=timezone.now(), to_number="")

    html = page(logged_in(anna).get(f"/poketalk/{call.pk}/"))

    assert "forgotten" in html
    assert "Call again" not in html


def test_a_call_about_what_is_gone_has_a_page(
    anna: Any, bob: Contact, new_call: Callable[..., CallRequest]
) -> None:
    gone, unfit, unknown = (new_call(user=anna, subject=bob) for _ in range(3))
    CallRequest.objects.filter(pk=unfit.pk).update(subject_id="not a number")
    removed = ContentType.objects.create(app_label="removed", model="thing")
    CallRequest.objects.filter(pk=unknown.pk).update(subject_type=removed)
    bob.delete()

    for call in (gone, unfit, unknown):
        assert "<h1>Call</h1>" in page(logged_in(anna).get(f"/poketalk/{call.pk}/"))


def test_the_status_is_there_as_json(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = connected(new_call(user=anna))
    client = logged_in(anna)

    live = client.get(f"/poketalk/{call.pk}/status/").json()
    assert live == {
        "placement": "accepted",
        "status": 7,
        "state": "connected",
        "duration": 75,
        "debit": "0.420500",
        "open": True,
        "ended": None,
    }

    connected(call, status=8, ended_at=datetime.fromisoformat("2026-03-02T09:00:00+00:00"))
    over = client.get(f"/poketalk/{call.pk}/status/")
    assert (over.json()["open"], over.json()["ended"]) == (False, "2026-03-02T09:00:00+00:00")
    assert "no-store" in over["Cache-Control"]


# Hanging up


def test_the_owner_withdraws_a_call_that_waits(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call(user=anna)

    response = logged_in(anna).post(f"/poketalk/{call.pk}/hang-up/", {"next": "/contacts/7/"})

    call.refresh_from_db()
    assert response.url == f"/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F"
    assert (call.placement, call.hangup_requested_by) == (Placement.CANCELLED, anna)


def test_the_owner_asks_to_end_a_call_that_goes_on(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))
    client = logged_in(anna)
    assert "Hang up</button>" in page(client.get(f"/poketalk/{call.pk}/"))

    html = page(client.post(f"/poketalk/{call.pk}/hang-up/", follow=True))

    call.refresh_from_db()
    assert call.hangup_requested_by == anna
    assert "You will be disconnected" in html
    assert "Hang up</button>" not in html


def test_a_watcher_needs_a_permission_to_hang_up(
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


def test_hanging_up_needs_the_csrf_token(anna: Any, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(user=anna)

    page(logged_in(anna, enforce_csrf_checks=True).post(f"/poketalk/{call.pk}/hang-up/"), 403)

    call.refresh_from_db()
    assert call.placement == Placement.QUEUED


# One's own number


@pytest.mark.parametrize("written", ["+44 (20) 7946-0555", "442079460555", " +442079460555 "])
def test_one_s_own_number_is_stored_as_e164(written: str, anna: Any) -> None:
    response = logged_in(anna).post(OWN_NUMBER, {"number": written, "next": "/contacts/7/"})

    assert response.url == "/contacts/7/"
    assert CallerNumber.objects.get().number == "+442079460555"


def test_a_national_number_belongs_to_the_default_region(
    anna: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")

    logged_in(anna).post(OWN_NUMBER, {"number": "020 7946 0555"})

    assert CallerNumber.objects.get().number == "+442079460555"


def test_what_is_no_number_stays_in_the_form_with_a_sentence(anna: Any) -> None:
    html = page(logged_in(anna).post(OWN_NUMBER, {"number": INJECTED}))

    assert "is not a phone number" in html
    assert "<script" not in html
    assert "<title>Error:" in html
    assert CallerNumber.objects.get().number == CALLER


def test_an_empty_number_is_forgotten(anna: Any) -> None:
    logged_in(anna).post(OWN_NUMBER, {"number": ""})

    assert not CallerNumber.objects.exists()


def test_nobody_sets_anybody_else_s_number(anna: Any) -> None:
    eve = agent("eve")

    logged_in(eve).post(OWN_NUMBER, {"number": "+442079460555", "user": anna.pk})

    assert CallerNumber.objects.get(user=anna).number == CALLER


def test_the_stored_number_is_in_the_form(anna: Any) -> None:
    html = page(logged_in(anna).get(OWN_NUMBER))

    assert 'value="+44 20 7946 0000"' in html


def test_an_own_number_is_for_those_who_may_place_calls(db: None) -> None:
    page(logged_in(someone("watcher", "view_callrequest")).get(OWN_NUMBER), 403)


# What all pages keep


def all_pages(client: Client, call: CallRequest) -> list[str]:
    return [
        page(client.get(f"/poketalk/{call.pk}/")),
        page(client.get(OWN_NUMBER)),
        page(client.post(OWN_NUMBER, {"number": "x"})),
        page(client.post(PLACE, {"token": "x"}), 422),
    ]


def test_no_page_has_inline_script_or_style(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))

    for html in all_pages(logged_in(anna), call):
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", html)
        assert '<html lang="en-us" dir="ltr">' in html


def test_pages_turn_round_for_languages_that_run_from_right_to_left(
    anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))

    with translation.override("he"):
        for html in all_pages(logged_in(anna), call):
            assert '<html lang="he" dir="rtl">' in html


def test_a_call_s_page_costs_a_fixed_number_of_queries(
    anna: Any, bob: Contact, new_call: Callable[..., CallRequest], django_assert_num_queries: Any
) -> None:
    call = connected(new_call(user=anna, subject=bob))
    client = logged_in(anna)
    client.get(reverse("poketalk:call", args=[call.pk]))

    with django_assert_num_queries(4):  # session, user, call with its users, subject
        client.get(f"/poketalk/{call.pk}/")
