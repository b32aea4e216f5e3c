"""The call backs of all users in the admin: the list, the page, the actions, and who may."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from django_poketalk.models import CallBack, CallRequest

from ..conftest import CALLEE
from ..people import agent, contact, contains_number, page, staff

BACKS = "/admin/poketalk/callback/"
NOW = timezone.now()
HOUR = timedelta(hours=1)


def own_calls(calls: Any, user: Any) -> Any:
    """For `VISIBLE_CALLS`."""
    return calls.filter(user=user)


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def backs(db: None) -> list[CallBack]:
    """Anna's: later, due and done."""
    anna = agent()
    facts: tuple[dict[str, Any], ...] = (
        {"due_at": NOW + 30 * HOUR, "note": f"Or {CALLEE}"},
        {"due_at": NOW - HOUR},
        {"due_at": NOW - 2 * HOUR, "done_at": NOW},
    )
    return [CallBack.objects.create(user=anna, to_number=CALLEE, **each) for each in facts]


def listed(client: Client, **requested: Any) -> list[int]:
    html = page(client.get(BACKS, requested))
    return [int(key) for key in re.findall(rf'href="{BACKS}(\d+)/change/', html)]


def test_the_list_has_those_that_are_not_done_and_filters(
    boss: Client, backs: list[CallBack]
) -> None:
    later, due, done = (back.pk for back in backs)
    assert page(boss.get(BACKS)).count('<time dir="ltr"') == 2  # also on a page in Hebrew

    assert listed(boss) == [due, later]
    assert listed(boss, state="due") == [due]
    assert listed(boss, state="later") == [later]
    assert listed(boss, state="done") == [done]
    assert listed(boss, state="x") == []
    assert listed(boss, user="anna") == [due, later]
    assert listed(boss, user="boss") == []
    day = timezone.localdate(NOW + 30 * HOUR).isoformat()
    assert listed(boss, day=day) == [later]
    assert listed(boss, day_from=day) == [later]


@pytest.mark.parametrize("count", [1, 20])
def test_the_queries_do_not_depend_on_the_number_of_call_backs(
    count: int, boss: Client, django_assert_num_queries: Any
) -> None:
    anna = agent()
    for number in range(count):
        back = CallBack(user=anna, to_number=CALLEE, due_at=NOW)
        back.subject = contact(f"Bob {number}")
        back.save()
    boss.get(BACKS)

    with django_assert_num_queries(4):  # session, user; call backs, the contacts they are about
        html = page(boss.get(BACKS))

    assert html.count("Bob ") == count


def test_they_are_moved_and_reminded_again(boss: Client, backs: list[CallBack]) -> None:
    _later, due, done = backs
    due.remind(NOW)
    at = (NOW + 50 * HOUR).replace(second=0, microsecond=0)
    sent = {"due_at": f"{timezone.localtime(at):%Y-%m-%dT%H:%M}", "note": "Later"}

    boss.post(f"{BACKS}{due.pk}/change/", sent)

    due.refresh_from_db()
    assert (due.due_at, due.note, due.reminded_at) == (at, "Later", None)
    boss.post(f"{BACKS}{done.pk}/change/", sent)
    done.refresh_from_db()
    assert done.note == ""  # what is done stays as it is


def test_actions_mark_them_as_done_and_cancel_them(boss: Client, backs: list[CallBack]) -> None:
    later, due, done = backs
    chosen = {"_selected_action": [due.pk]}

    boss.post(BACKS, {"action": "mark_done", **chosen})
    boss.post(BACKS, {"action": "cancel", "_selected_action": [later.pk]})

    due.refresh_from_db()
    assert due.done_at is not None
    assert set(CallBack.objects.values_list("pk", flat=True)) == {due.pk, done.pk}
    assert LogEntry.objects.count() == 2
    assert not contains_number(str(list(LogEntry.objects.values())))


def test_numbers_are_masked_and_cannot_be_looked_up(backs: list[CallBack]) -> None:
    lead = staff("lead", "view_callback", "change_callback")

    html = page(lead.get(BACKS)) + page(lead.get(f"{BACKS}{backs[0].pk}/change/"))

    assert "Or " in html
    assert not contains_number(html)
    assert lead.get(BACKS, {"to_number__startswith": "+44"}).status_code == 400
    sent = {"due_at": "2026-01-01T10:00", "note": "x"}
    lead.post(f"{BACKS}{backs[0].pk}/change/", sent)
    backs[0].refresh_from_db()
    assert backs[0].note.startswith("Or ")  # its input was not in the form


def test_a_permission_is_required_and_visible_calls_limits_it(
    backs: list[CallBack], poketalk: Callable[..., None], new_call: Callable[..., CallRequest]
) -> None:
    assert staff("clerk", "view_callrequest").get(BACKS).status_code == 403
    viewer = staff("viewer", "view_callback")
    viewer.post(BACKS, {"action": "cancel", "_selected_action": [backs[0].pk]})
    assert CallBack.objects.count() == 3
    lead = staff("lead", "view_callback", "view_callrequest")
    assert len(listed(lead)) == 2

    poketalk(VISIBLE_CALLS=f"{__name__}.own_calls")
    assert listed(lead) == []
    assert lead.get(f"{BACKS}{backs[0].pk}/change/").status_code == 302
