"""The filters with inputs, the filters by team and model, and sorting in the list of calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from django_poketalk.admin import changelist
from django_poketalk.models import CallRequest

from ..people import connected, contact, page, someone, staff, text

CALLS = "/admin/poketalk/callrequest/"
COST, DURATION = 9, 8  # the numbers of the columns, for sorting


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def rows(client: Client, **requested: Any) -> list[int]:
    """The keys of the calls that the list shows, in order."""
    html = page(client.get(CALLS, requested))
    return [int(key) for key in re.findall(r'data-poketalk-call="(\d+)"', html)]


def ended(call: CallRequest, **facts: Any) -> int:
    return connected(call, **{"status": 8, "ended_at": timezone.now(), **facts}).pk


def test_the_final_figures_are_zero_until_the_call_has_ended(call: CallRequest) -> None:
    connected(call, cost=Decimal("1.5"), duration=70)
    assert (call.final_cost, call.final_talk_time) == (0, 0)

    connected(call, cost=Decimal("1.6"), duration=80, ended_at=timezone.now())
    assert (call.final_cost, call.final_talk_time) == (Decimal("1.6"), 80)

    connected(call, cost=Decimal("1.6"), duration=80, stale_at=timezone.now())
    assert call.final_cost == Decimal("1.6")


@pytest.mark.parametrize(
    ("column", "order"), [(-COST, [2, 0, 1]), (COST, [1, 0, 2]), (-DURATION, [1, 2, 0])]
)
def test_calls_are_sorted_by_cost_and_duration(
    column: int, order: list[int], boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    facts = (("0.5", 10), ("0.1", 30), ("10.25", 20))
    calls = [ended(new_call(), cost=Decimal(cost), duration=long) for cost, long in facts]
    expected = [calls[index] for index in order]

    assert rows(boss, o=column) == expected
    assert rows(boss, o=column, day="today") == expected
    assert rows(boss, o=column, outcome="connected") == expected
    assert rows(boss, o=column, ended_by="phones") == expected


def test_rare_calls_are_sorted_among_the_newest(
    boss: Client, new_call: Callable[..., CallRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelist, "MOST_SORTED", 2)
    _oldest, newer, newest = (ended(new_call(), status=6, cost=cost) for cost in (9, 1, 2))

    html = page(boss.get(CALLS, {"o": -COST, "outcome": "callee"}))

    assert rows(boss, o=-COST, outcome="callee") == [newest, newer]
    assert "Only the newest 2 matching calls are listed and sorted." in html


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ({"cost_from": "0.5"}, {1, 2}),
        ({"cost_to": "0.5"}, {0, 1}),
        ({"cost_from": "0.2", "cost_to": "2"}, {1}),
        ({"cost": "..0"}, {0}),
        ({"length": "60.."}, {2}),
        ({"length_from": "30", "length_to": "59"}, {1}),
        ({"length": "1..30"}, {0, 1}),
        ({"cost_from": "x"}, set()),
        ({"cost_from": "nan"}, set()),
        ({"cost": "x"}, set()),
    ],
)
def test_calls_are_found_by_cost_and_duration(
    requested: dict[str, str],
    expected: set[int],
    boss: Client,
    new_call: Callable[..., CallRequest],
) -> None:
    facts = (("0", 10), ("0.5", 30), ("3", 600))
    calls = [ended(new_call(), cost=Decimal(cost), duration=long) for cost, long in facts]

    assert set(rows(boss, **requested)) == {calls[index] for index in expected}


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ({"day_from": "2026-03-02", "day_to": "2026-03-03"}, {1, 2}),
        ({"day_from": "2026-03-03"}, {2}),
        ({"day_to": "2026-03-01"}, {0}),
        ({"day_from": "2026-03-03", "day_to": "2026-03-01"}, set()),
        ({"day_from": "soon"}, set()),
        ({"day_from": "", "day_to": ""}, {0, 1, 2}),
    ],
)
def test_calls_are_found_from_one_day_to_another(
    requested: dict[str, str],
    expected: set[int],
    boss: Client,
    new_call: Callable[..., CallRequest],
) -> None:
    calls = []
    for day in (1, 2, 3):
        call = new_call()
        at = datetime(2026, 3, day, 23, 59, tzinfo=ZoneInfo("Europe/London"))
        CallRequest.objects.filter(pk=call.pk).update(created_at=at)
        calls.append(call.pk)

    assert set(rows(boss, **requested)) == {calls[index] for index in expected}


def test_calls_are_found_by_team(boss: Client, new_call: Callable[..., CallRequest]) -> None:
    sales, empty = Group.objects.create(name="Sales"), Group.objects.create(name="Support")
    anna = someone("anna")
    anna.groups.add(sales)
    call = new_call(user=anna)
    new_call(user=someone("bert"))

    assert rows(boss, team=sales.pk) == [call.pk]
    assert rows(boss, team=empty.pk) == []
    assert rows(boss, team="x") == []


def test_calls_are_found_by_the_model_they_are_about(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    about, nothing = new_call(subject=contact()), new_call()

    assert rows(boss, about="crm.contact") == [about.pk]
    assert rows(boss, about="none") == [nothing.pk]
    assert rows(boss, about="crm.lead") == []
    assert rows(boss, about="no.model") == []
    assert "Lead" not in page(boss.get(CALLS)).partition("changelist-form")[0].partition("About")[2]


def test_active_filters_are_named_and_can_be_removed_one_by_one(
    boss: Client, call: CallRequest
) -> None:
    sales = Group.objects.create(name="Sales")
    requested = {"team": sales.pk, "cost_from": "2", "user": "boss", "q": "bob", "o": "-9"}

    html = page(boss.get(CALLS, requested))

    active = html.partition('class="poketalk-active"')[2].partition("</section>")[0]
    words = text(active)
    for named in ("User: Me", "Team: Sales", "Cost: 2.00 or more", "Search: bob"):
        assert named in words
    without = re.findall(r'href="([^"]+)" aria-label', active.replace("&amp;", "&"))
    assert len(without) == 4
    assert any("cost" not in link and "team=" in link and "q=bob" in link for link in without)
    assert any("team" not in link and "cost_from=2" in link for link in without)
    assert "poketalk-active" not in page(boss.get(CALLS))


def test_users_have_their_full_names(boss: Client, new_call: Callable[..., CallRequest]) -> None:
    new_call(user=someone("anna", first_name="Anna", last_name="Schmidt"))

    assert '<a href="?user=anna" title="Anna Schmidt">Anna Schmidt</a>' in page(boss.get(CALLS))


def test_deletion_is_the_last_action_and_says_what_reports_lose(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    calls = [ended(new_call(), cost=Decimal("1.5"), duration=61) for _ in range(2)]
    html = page(boss.get(CALLS))
    actions = html.partition('name="action"')[2].partition("</select>")[0]
    assert re.findall(r'value="(\w+)"', actions)[-1] == "delete_selected"

    chosen = {"action": "delete_selected", "_selected_action": calls}
    asked = page(boss.post(CALLS, chosen))
    assert "2 calls with a total talk time of 2 min 2 s and a total cost of 3.000" in asked

    one = page(boss.get(f"{CALLS}{calls[0]}/delete/"))
    assert "1 call with a talk time of 1 min 1 s and a cost of 1.500" in one
