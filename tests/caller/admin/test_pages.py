"""The admin of the caller's side: its pages, masked numbers, and hanging up."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from django_poketalk.models import (
    BlacklistedNumber,
    CallEvent,
    CallRequest,
    Phone,
    Placement,
)
from tests.crm.models import Contact

from ..conftest import CALLEE
from ..people import contact, contains_number, page, staff

CALLS = "/admin/poketalk/callrequest/"
BLACKLIST = "/admin/poketalk/blacklistednumber/"
PHONES = "/admin/poketalk/phone/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest", "view_callevent")


def live(call: CallRequest, **changes: Any) -> CallRequest:
    facts = {"placement": Placement.ACCEPTED, "status": 7, "sent_at": timezone.now(), **changes}
    CallRequest.objects.filter(pk=call.pk).update(**facts)
    call.refresh_from_db()
    return call


def add_events(call: CallRequest, count: int, **facts: Any) -> None:
    CallEvent.objects.bulk_create(
        CallEvent(
            call=call,
            **{"status": 7, "duration": 60 * tick, "cost": tick, "answer": 200, **facts},
        )
        for tick in range(count)
    )


def test_all_models_of_the_caller_are_in_the_admin() -> None:
    # A call's events are on its page.
    assert {CallRequest, BlacklistedNumber, Phone} <= set(admin.site._registry)


# The list of calls


def test_numbers_are_masked_without_the_permission_to_see_them(
    watcher: Client, call: CallRequest
) -> None:
    for address in (CALLS, f"{CALLS}{call.pk}/change/"):
        html = page(watcher.get(address))
        assert "+44 ••••••••23" in html
        assert not contains_number(html)


def test_numbers_are_whole_with_the_permission(call: CallRequest) -> None:
    auditor = staff("auditor", "view_callrequest", "view_numbers")

    for address in (CALLS, f"{CALLS}{call.pk}/change/"):
        assert '<bdi dir="ltr">+44 20 7946 0123</bdi>' in page(auditor.get(address))


def test_searching_does_not_reveal_numbers(watcher: Client, call: CallRequest) -> None:
    auditor = staff("auditor", "view_callrequest", "view_numbers")
    search = {"q": CALLEE[:8]}

    assert "0 calls" in page(watcher.get(CALLS, search))
    assert "1 call" in page(auditor.get(CALLS, search))
    assert "1 call" in page(watcher.get(CALLS, {"q": call.webcallid}))


def test_sorting_does_not_reveal_numbers(
    watcher: Client, new_call: Callable[..., CallRequest]
) -> None:
    for last in (3, 1, 2):
        new_call(to_number=f"+44207946012{last}")

    orders = {
        tuple(re.findall(r'field-callee">(.*?)</td>', page(watcher.get(CALLS, {"o": order}))))
        for order in ("2", "-2", "3", "-3")
    }

    assert [len(numbers) for numbers in orders] == [3]  # one order, of all three


def test_the_list_works_when_subjects_were_deleted(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    gone, unfit, unknown = (new_call(subject=contact()) for _ in range(3))
    CallRequest.objects.filter(pk=unfit.pk).update(subject_id="not a number")
    removed = ContentType.objects.create(app_label="removed", model="thing")
    CallRequest.objects.filter(pk=unknown.pk).update(subject_type=removed)
    Contact.objects.filter(pk=gone.subject_id).delete()

    assert page(boss.get(CALLS)).count("field-callee") == 3
    for call in (gone, unfit, unknown):
        page(boss.get(f"{CALLS}{call.pk}/change/"))


@pytest.mark.parametrize("chosen", ["placement__exact=queued", "status__exact=7"])
def test_the_list_can_be_filtered(
    chosen: str, boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    new_call()
    live(new_call())

    assert page(boss.get(f"{CALLS}?{chosen}")).count("field-callee") == 1


# One call


def test_calls_cannot_be_added_or_edited(boss: Client, call: CallRequest) -> None:
    page(boss.get(f"{CALLS}add/"), 403)
    page(boss.post(f"{CALLS}add/", {}), 403)
    page(boss.post(f"{CALLS}{call.pk}/change/", {"to_number": "+442079460999"}), 403)

    html = page(boss.get(f"{CALLS}{call.pk}/change/"))
    assert 'name="_save"' not in html
    call.refresh_from_db()
    assert call.to_number == CALLEE


def test_deleting_a_call_requires_the_permission(call: CallRequest) -> None:
    editor = staff("editor", "view_callrequest", "change_callrequest", "hang_up_any_call")
    cleaner = staff("cleaner", "view_callrequest", "delete_callrequest")
    address = f"{CALLS}{call.pk}/delete/"

    page(editor.post(address, {"post": "yes"}), 403)
    assert CallRequest.objects.exists()

    page(cleaner.post(address, {"post": "yes"}), 302)
    assert not CallRequest.objects.exists()


def test_staff_without_permissions_see_no_calls(call: CallRequest) -> None:
    clerk = staff("clerk", "place_call")

    page(clerk.get(CALLS), 403)
    page(clerk.get(f"{CALLS}{call.pk}/change/"), 403)


def test_a_call_links_to_its_page(boss: Client, call: CallRequest) -> None:
    assert f'href="/poketalk/{call.pk}/"' in page(boss.get(f"{CALLS}{call.pk}/change/"))


def test_markup_from_outside_is_escaped(boss: Client, new_call: Callable[..., CallRequest]) -> None:
    call = new_call(subject=contact(INJECTED))
    live(call, response_detail=INJECTED, veto_reason=INJECTED)
    add_events(call, 1, reason=INJECTED)
    BlacklistedNumber.objects.create(number="+442079460777", reason=INJECTED)

    detail = page(boss.get(f"{CALLS}{call.pk}/change/"))
    assert detail.count("&lt;script&gt;alert") >= 4  # subject, answer, veto, event
    for html in (detail, page(boss.get(CALLS)), page(boss.get(BLACKLIST))):
        assert "&lt;script&gt;alert" in html
        assert "<script>alert" not in html


# Hanging up


def hang_up(client: Client, *calls: CallRequest) -> Any:
    order = {"action": "hang_up", "_selected_action": [call.pk for call in calls]}
    return client.post(CALLS, order, follow=True)


def test_hanging_up_selected_calls_is_logged(
    new_call: Callable[..., CallRequest],
) -> None:
    operator = staff("operator", "view_callrequest", "hang_up_any_call")
    waiting, talking = new_call(), live(new_call())
    over = live(new_call(), status=8, ended_at=timezone.now())

    html = page(hang_up(operator, waiting, talking, over))

    for call in (waiting, talking, over):
        call.refresh_from_db()
    assert "2 calls are being ended." in html
    assert waiting.placement == Placement.CANCELLED
    assert talking.hangup_requested_by.username == "operator"
    assert over.hangup_requested_at is None
    logged = LogEntry.objects.values_list("user__username", "object_id", "object_repr")
    rendered = "+44 ••••••••00 → +44 ••••••••23"
    assert set(logged) == {
        ("operator", str(waiting.pk), rendered),
        ("operator", str(talking.pk), rendered),
    }


def test_hanging_up_requires_the_permission(watcher: Client, call: CallRequest) -> None:
    assert "hang_up" not in page(watcher.get(CALLS))

    hang_up(watcher, call)

    call.refresh_from_db()
    assert call.placement == Placement.QUEUED


def test_hanging_up_an_ended_call_shows_a_warning(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    over = live(new_call(), status=8, ended_at=timezone.now())

    html = page(hang_up(boss, over))

    assert '<li class="warning">0 calls are being ended.</li>' in html
    assert not LogEntry.objects.exists()
