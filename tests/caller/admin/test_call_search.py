"""Filters and search in the list of calls, and that they do not reveal hidden numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_poketalk.admin import search
from django_poketalk.models import CallRequest, Placement
from django_poketalk.reports import outcomes

from ..conftest import CALLEE
from ..people import connected, page, someone, staff

CALLS = "/admin/poketalk/callrequest/"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest")


def found(client: Client, **requested: str) -> set[int]:
    """The keys of the calls that the list shows."""
    html = page(client.get(CALLS, requested))
    return {int(key) for key in re.findall(r'data-poketalk-call="(\d+)"', html)}


def change(call: CallRequest, **facts: Any) -> int:
    CallRequest.objects.filter(pk=call.pk).update(**facts)
    return call.pk


# Filters


@pytest.mark.parametrize(
    ("outcome", "facts"),
    [
        ("live", {"placement": "queued"}),
        ("connected", {"placement": "accepted", "status": 8, "ended_at": timezone.now()}),
        ("callee", {"placement": "accepted", "status": 6, "ended_at": timezone.now()}),
        ("caller", {"placement": "accepted", "status": 2, "ended_at": timezone.now()}),
        ("early", {"placement": "accepted", "status": 4, "ended_at": timezone.now()}),
        ("refused", {"placement": "rejected"}),
        ("unreachable", {"placement": "failed"}),
        ("withdrawn", {"placement": "cancelled"}),
        ("withdrawn", {"placement": "expired"}),
        ("unknown", {"placement": "unknown", "stale_at": timezone.now()}),
    ],
)
def test_an_outcome_finds_only_its_calls(
    outcome: str, facts: dict[str, Any], boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    wanted = change(new_call(), **facts)
    over = {"ended_at": timezone.now()}
    change(new_call(), placement="accepted", status=8, **over)
    change(new_call(), placement="accepted", status=6, **over)
    change(new_call(), placement="rejected")
    change(new_call(), placement="expired")

    rendered = found(boss, outcome=outcome)

    assert wanted in rendered
    assert len(rendered) == (
        1 if outcome not in ("connected", "callee", "refused", "withdrawn") else 2
    )


def test_each_outcome_finds_the_same_calls_as_in_reports(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    now = timezone.now()
    for placement in Placement.values:
        for status in (None, *range(9)):
            final = status in (2, 4, 6, 8)
            for silent in (None, now):
                change(
                    new_call(),
                    placement=placement,
                    status=status,
                    stale_at=silent,
                    ended_at=now if final else None,
                )
    has_events = Q(status=None) | Q(placement__in=["accepted", "unknown"])
    calls = CallRequest.objects.filter(has_events)
    expected: dict[str, set[int]] = {outcome: set() for outcome in outcomes.Outcome}
    for call in calls:
        expected[outcomes.of(call.placement, call.status, call.is_open)].add(call.pk)
    waiting = calls.filter(placement="unknown").exclude(status__in=[2, 4, 6, 7, 8])
    expected["unknown"] |= set(waiting.values_list("pk", flat=True))

    for outcome in outcomes.Outcome:
        rendered = found(boss, outcome=outcome, all="") & set(calls.values_list("pk", flat=True))
        assert rendered == expected[outcome], outcome


@pytest.mark.parametrize(
    ("by", "facts"),
    [
        ("phones", {"status": 8, "ended_at": timezone.now()}),
        ("person", {"hangup_requested_at": timezone.now()}),
        ("us", {"veto_reason": "lunch"}),
        ("duration", {"veto_reason": "maximum duration"}),
        ("cost", {"veto_reason": "maximum cost"}),
        ("rule", {"veto_reason": "lunch"}),
        ("stale", {"stale_at": timezone.now()}),
    ],
)
def test_calls_are_found_by_who_ended_them(
    by: str, facts: dict[str, Any], boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    wanted = change(new_call(), placement="accepted", **facts)
    change(new_call(), placement="accepted", status=7)
    change(new_call(), placement="accepted", veto_reason="hang-up requested")

    assert found(boss, ended_by=by) - {wanted + 2 if by == "us" else None} == {wanted}


def test_calls_are_found_by_response_code(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    refused = change(new_call(), placement=Placement.REJECTED, response_code="60")
    accepted = change(new_call(), placement=Placement.ACCEPTED, response_code="00")
    new_call()

    assert found(boss, code="60") == {refused}
    assert found(boss, code="00") == {accepted}


@pytest.mark.parametrize(
    ("day", "ages"),
    [
        ("today", [0]),
        ("yesterday", [1]),
        ("7", [0, 1, 6]),
        ("30", [0, 1, 6, 7, 29]),
        ("2026-05-04", [0]),
        ("2026-04-27", [7]),
        ("2026-02-31", []),
        ("2026-04-27..2026-05-04", [0, 1, 6, 7]),
        ("2026-04-27..2026-05-03", [1, 6, 7]),
        ("2026-05-04..2026-04-27", []),
        ("2026-04-27..", []),
        ("..", []),
        ("2026", [0, 1, 6, 7, 29, 30]),
        ("2025", []),
        ("2026-05", [0, 1]),
        ("2026-04", [6, 7, 29, 30]),
        ("2026-04..2026-05-03", [1, 6, 7, 29, 30]),
        ("2026-13", []),
        ("9999", []),
    ],
)
def test_a_day_is_in_the_current_time_zone(
    day: str,
    ages: list[int],
    boss: Client,
    new_call: Callable[..., CallRequest],
    settings: Any,
    time_machine: Any,
) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    time_machine.move_to(datetime.fromisoformat("2026-05-04T12:00+09:00"), tick=False)
    client = staff("late", is_superuser=True)
    midnight = datetime.fromisoformat("2026-05-04T00:00+09:00")
    calls = {
        age: change(new_call(), created_at=midnight - timedelta(days=age))
        for age in (0, 1, 6, 7, 29, 30)
    }

    assert found(client, day=day) == {calls[age] for age in ages}


def test_a_day_links_to_its_neighbors_but_not_to_the_future(boss: Client, call: Any) -> None:
    today = timezone.localdate()

    def links(day: str) -> set[str]:
        return set(re.findall(r'href="\?day=(\d+-\d+-\d+)"', page(boss.get(CALLS, {"day": day}))))

    before = (today - timedelta(days=1)).isoformat()
    assert links("today") == {before}
    assert links(before) - {before} == {(today - timedelta(days=2)).isoformat(), today.isoformat()}


def test_the_calls_of_a_user_are_found_by_name(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    mine = new_call(user=get_user_model().objects.get(username="boss")).pk
    hers = new_call(user=user).pk
    new_call()

    assert found(boss, user="boss") == {mine}
    assert found(boss, user="anna") == {hers}
    assert found(boss, user="ann") == set()


def test_the_list_never_names_all_users(boss: Client, call: CallRequest) -> None:
    for number in range(5):
        someone(f"colleague{number}")

    assert "colleague" not in page(boss.get(CALLS))


@pytest.mark.parametrize("requested", ["outcome", "ended_by", "code", "day", "user"])
def test_an_invalid_choice_finds_nothing(requested: str, boss: Client, call: CallRequest) -> None:
    assert found(boss, **{requested: "x' OR 1=1"}) == set()


def test_a_filter_form_keeps_other_filters_but_not_the_page(
    boss: Client, call: CallRequest
) -> None:
    html = page(boss.get(CALLS, {"outcome": "live", "q": '"><b>', "p": "1"}))

    form = html.partition('<form method="get" class="poketalk-filter">')[2].partition("</form>")[0]
    assert 'name="outcome" value="live"' in form
    assert 'name="q" value="&quot;&gt;&lt;b&gt;"' in form
    assert 'name="p"' not in form


def test_displaying_filters_does_not_read_calls(boss: Client, call: CallRequest) -> None:
    with CaptureQueriesContext(connection) as queries:
        page(boss.get(CALLS))

    calls = [query["sql"] for query in queries if "poketalk_callrequest" in query["sql"]]
    requested = [sql for sql in calls if "EXISTS" not in sql]  # of the few models, one by one
    assert len(requested) == len(calls) - 1 == 3  # the page; the ends of the index of times
    assert [sql.rpartition("ORDER BY ")[2].split()[1:] for sql in requested[1:]] == [
        ["ASC", "LIMIT", "1"],
        ["DESC", "LIMIT", "1"],
    ]
    assert not any("DISTINCT" in sql or "GROUP BY" in sql or "MIN(" in sql for sql in requested)


# Search


@pytest.mark.parametrize(
    "typed",
    [
        "+442079460123",
        "+44 20 7946 0123",
        "+44 (0)20 7946 0123",
        "0044 20 7946",
        "020 7946 0123",
        "(020) 7946-01",
        "442079",
        "tel:+442079460123",
        "\uff10\uff12\uff10 7946 0123",
    ],
)
def test_a_number_is_found_in_any_format(
    typed: str, boss: Client, new_call: Callable[..., CallRequest], poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")
    wanted = new_call(from_number="+12125550100").pk
    new_call(from_number="+12125550100", to_number="+4930123456")

    assert found(boss, q=typed) == {wanted}


def test_calls_are_found_by_the_caller_s_number(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    wanted = new_call(from_number="+12125550100").pk
    new_call()

    assert found(boss, q="+1 212") == {wanted}


def test_calls_are_found_by_id_and_by_the_name_of_their_user(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    mine, other = new_call(user=user), new_call()

    assert found(boss, q=mine.webcallid) == {mine.pk}
    assert found(boss, q="anna") == found(boss, q="ann") == found(boss, q="Anna") == {mine.pk}
    assert found(boss, q="anna 020") == set()
    assert found(boss, q="anna +44 20") == {mine.pk}
    assert found(boss, q="nobody") == set()
    assert found(boss, q=" ") == {mine.pk, other.pk}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Others plan by the number of rows.")
def test_the_index_of_users_orders_the_calls_of_a_user_who_is_searched_for(
    user: Any, admin_user: Any, new_call: Callable[..., CallRequest]
) -> None:
    new_call(user=user)

    found = CallRequest.objects.filter(search.condition("ann", admin_user)).order_by("-id")

    assert found.explain().splitlines()[0].endswith("INDEX poketalk_by_user (user_id=?)")
    assert "TEMP B-TREE" not in found.explain()


@pytest.mark.parametrize("typed", ["%", "_", "+%", "' OR 1=1 --", "\0", "1" * 500, "+", "٣"])
def test_unusual_texts_find_nothing(typed: str, boss: Client, call: CallRequest) -> None:
    rendered = found(boss, q=typed)

    assert rendered == (set() if typed != "\0" else {call.pk})  # which Django takes for no search


def test_a_search_does_not_use_patterns(boss: Client, call: CallRequest) -> None:
    with CaptureQueriesContext(connection) as queries:
        found(boss, q="+44 20")

    requested = [query["sql"] for query in queries if "poketalk_callrequest" in query["sql"]]
    assert requested
    assert not any("LIKE" in sql or "UPPER" in sql for sql in requested)


# Hidden numbers


@pytest.mark.parametrize("typed", [CALLEE, "+44", "020", "44207", CALLEE[1:]])
def test_users_who_may_not_see_numbers_find_none(
    typed: str, watcher: Client, call: CallRequest
) -> None:
    assert found(watcher, q=typed) == set()


@pytest.mark.parametrize(
    "lookup",
    ["to_number__startswith", "from_number", "to_number__gte", "response_detail__contains"],
)
def test_custom_lookups_do_not_reveal_numbers(
    lookup: str, watcher: Client, boss: Client, call: CallRequest
) -> None:
    assert watcher.get(CALLS, {lookup: "+4420"}).status_code == 400
    assert boss.get(CALLS, {lookup: "+4420"}).status_code == 200


def test_calls_can_be_looked_up_by_status(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    talking = connected(new_call()).pk
    new_call()

    assert found(boss, status__exact="7") == {talking}
    assert found(boss, placement__exact="accepted") == {talking}


@pytest.mark.parametrize("text", ["1001", " 1001 ", "10", "１001"])
def test_a_search_finds_internal_numbers(boss: Client, new_call: Any, text: str) -> None:
    desk = change(new_call(), from_number="1001")
    change(new_call(), from_number="2001")

    assert found(boss, q=text) == {desk}


def test_a_search_for_internal_numbers_needs_the_permission(watcher: Client, new_call: Any) -> None:
    change(new_call(), from_number="1001")

    assert found(watcher, q="1001") == set()
