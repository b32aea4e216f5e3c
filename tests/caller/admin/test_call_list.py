"""The list of calls in the admin: its rows, its pages, and its queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from django_poketalk.shared import changelist

from ..people import connected, contact, contains_number, page, someone, staff

CALLS = "/admin/poketalk/callrequest/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest")


@pytest.fixture
def few_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls per page, and a count of at most ten."""
    monkeypatch.setattr(admin.site.get_model_admin(CallRequest), "list_per_page", 3)
    monkeypatch.setattr(admin.site.get_model_admin(CallRequest), "list_max_show_all", 5)
    monkeypatch.setattr(changelist, "MOST_COUNTED", 9)


def cells(html: str) -> list[dict[str, str]]:
    """The text of each row's cells, by column."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        {
            name: re.sub(r"<[^>]*>", "", text).strip()
            for name, text in re.findall(r'class="field-(\w+)[^>]*>(.*?)</t[dh]>', row, re.DOTALL)
        }
        for row in body.split("</tr>")[:-1]
    ]


def change(call: CallRequest, **facts: Any) -> CallRequest:
    CallRequest.objects.filter(pk=call.pk).update(**facts)
    call.refresh_from_db()
    return call


def many(count: int, **facts: Any) -> None:
    now = timezone.now()
    CallRequest.objects.bulk_create(
        CallRequest(
            **{
                "from_number": "+442079460000",
                "to_number": "+442079460123",
                "max_duration": 60,
                "expires_at": now,
                **facts,
            }
        )
        for _ in range(count)
    )


# Rows


def test_a_row_shows_people_subject_outcome_duration_and_cost(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=user, subject=contact("Bob")))
    at = datetime(2026, 5, 4, 9, 30, 7, tzinfo=UTC)
    change(call, status=8, ended_at=at, created_at=at)

    html = page(boss.get(CALLS))

    assert cells(html) == [
        {
            "when": "05/04/2026 09:30:07",
            "caller": "+44 20 7946 0000",
            "callee": "+44 20 7946 0123",
            "user": "anna",
            "about": "Bob",
            "outcome": "Ended after talking",
            "why": "",
            "length": "1:15",
            "cost": "0.421",
        }
    ]
    assert '<time dir="ltr" datetime="2026-05-04T09:30:07+00:00" title="UTC">' in html
    assert '<span class="poketalk-pill" data-phase="ended">Ended after talking</span>' in html


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (
            {"placement": "rejected", "response_code": "60"},
            "60: One of the numbers is blacklisted by the service.",
        ),
        ({"placement": "rejected", "response_detail": "No such custom."}, "No such custom."),
        ({"placement": "failed", "response_detail": "Connection refused"}, "Connection refused"),
        ({"placement": "accepted", "veto_reason": "maximum cost"}, "maximum cost reached"),
        ({"placement": "accepted", "veto_reason": "maximum duration"}, "maximum duration reached"),
        ({"placement": "accepted", "veto_reason": "lunch"}, "lunch"),
        ({"placement": "accepted", "veto_reason": "hang-up requested"}, "hang-up requested"),
        ({"placement": "accepted"}, ""),
    ],
)
def test_a_row_shows_the_reason(
    facts: dict[str, str], why: str, boss: Client, call: CallRequest
) -> None:
    change(call, **facts)

    assert cells(page(boss.get(CALLS)))[0]["why"] == why


def test_a_row_shows_who_hung_up(boss: Client, user: Any, call: CallRequest) -> None:
    connected(call, hangup_requested_at=timezone.now(), hangup_requested_by=user)

    line = cells(page(boss.get(CALLS)))[0]

    assert (line["outcome"], line["why"]) == ("Hanging up", "hung up by anna")


def test_the_talk_time_of_an_open_call_grows(boss: Client, call: CallRequest) -> None:
    answered = timezone.now() - timedelta(seconds=75)
    connected(
        call, duration=85, a_answered_at=answered - timedelta(seconds=10), b_answered_at=answered
    )

    assert cells(page(boss.get(CALLS)))[0]["length"] in ("1:15", "1:16")


def test_a_row_has_the_talk_time_and_the_billed_time_with_the_cost(
    boss: Client, call: CallRequest
) -> None:
    now = timezone.now()
    talked = {"a_answered_at": now - timedelta(seconds=85), "duration": 85}
    connected(call, **talked, b_answered_at=now - timedelta(seconds=75), status=8, ended_at=now)

    html = page(boss.get(CALLS))

    assert cells(html)[0]["length"] == "1:15"
    assert 'title="Billed time: 1:25">0.421</span>' in html


def test_a_phone_that_still_rings_has_no_talk_time(boss: Client, call: CallRequest) -> None:
    now = timezone.now()
    connected(call, status=5, a_answered_at=now, b_answered_at=None, duration=20)

    assert cells(page(boss.get(CALLS)))[0]["length"] == ""


def test_numbers_are_masked_in_a_row_and_its_reason(watcher: Client, call: CallRequest) -> None:
    detail = "Nobody reaches +44 (0)20 7946 0123, sorry, nor 442079460123."
    change(call, placement=Placement.REJECTED, response_detail=detail)

    html = page(watcher.get(CALLS))

    assert not contains_number(html)
    assert "••••••23, sorry" in html


def test_users_see_the_numbers_of_their_own_calls(new_call: Callable[..., CallRequest]) -> None:
    client = staff("anna", "view_callrequest")
    anna = someone("else")
    own = type(anna).objects.get(username="anna")
    new_call(user=own), new_call(user=anna)

    lines = cells(page(client.get(CALLS)))

    assert [line["callee"] for line in lines] == ["+44 ••••••••23", "+44 20 7946 0123"]


def test_the_subject_links_to_its_page_for_users_who_may_see_it(
    watcher: Client, boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    sales = Group.objects.create(name="Sales & <b>")
    new_call(subject=sales)
    name = "Sales &amp; &lt;b&gt;"
    link = f'<a href="/admin/auth/group/{sales.pk}/change/" title="{name}">{name}</a>'

    assert link in page(boss.get(CALLS))
    html = page(watcher.get(CALLS))
    assert link not in html
    assert cells(html)[0]["about"] == "Sales &amp; &lt;b&gt;"


def test_a_subject_without_an_admin_page_is_shown_as_text(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    new_call(subject=contact("Bob"))

    assert '<td class="field-about"><span title="Bob">Bob</span></td>' in page(boss.get(CALLS))


def test_markup_in_a_row_is_escaped(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    type(user).objects.filter(pk=user.pk).update(username=INJECTED)
    call = new_call(user=user, subject=contact(INJECTED))
    change(call, placement=Placement.REJECTED, response_detail=INJECTED)

    html = page(boss.get(CALLS))

    assert html.count("&lt;script&gt;alert") == 6  # texts and their tooltips
    assert "<script>alert" not in html


# Queries


@pytest.mark.parametrize("count", [1, 30])
def test_the_queries_of_a_page_do_not_depend_on_the_number_of_calls(
    count: int,
    boss: Client,
    user: Any,
    new_call: Callable[..., CallRequest],
    django_assert_num_queries: Any,
) -> None:
    for number in range(count):
        call = new_call(user=user, subject=contact(f"Bob {number}"))
        connected(call, hangup_requested_at=timezone.now(), hangup_requested_by=user)
    boss.get(CALLS)  # fills the cache of content types

    # session, user; calls, the contacts they are about; the first call and the last; the choices of
    # the filters by team and by model
    with django_assert_num_queries(8):
        html = page(boss.get(CALLS))

    assert len(cells(html)) == count


def test_a_page_of_a_long_list_makes_six_queries(
    boss: Client, few_a_page: None, django_assert_num_queries: Any
) -> None:
    many(30)

    # session, user; calls, count; the first call and the last; the choices of two filters
    with django_assert_num_queries(8):
        assert len(cells(page(boss.get(CALLS)))) == 3


@pytest.mark.parametrize(
    "chosen",
    ["outcome=live", "day=2026", "user=boss", "ended_by=person", "code=60", "q=%2B4420", "o=-1"],
)
def test_active_filters_make_no_further_queries(
    chosen: str, boss: Client, few_a_page: None, django_assert_max_num_queries: Any
) -> None:
    many(30)

    with django_assert_max_num_queries(8):
        page(boss.get(f"{CALLS}?{chosen}"))


@pytest.mark.parametrize("chosen", ["day=today", "day=2026-05-04"])
def test_with_a_day_selected_the_first_and_last_calls_are_not_queried(
    chosen: str, boss: Client, few_a_page: None, django_assert_max_num_queries: Any
) -> None:
    many(30)

    with django_assert_max_num_queries(6):
        page(boss.get(f"{CALLS}?{chosen}"))


# Pages


def test_the_count_is_limited(boss: Client, few_a_page: None) -> None:
    many(9)
    assert "9 calls" in page(boss.get(CALLS))

    many(3)
    html = page(boss.get(CALLS))

    assert "9+ calls" in html
    assert "Select all 9+ calls" in html


def test_there_are_pages_beyond_the_counted_rows(boss: Client, few_a_page: None) -> None:
    many(14)
    seen = []
    for number in range(1, 6):
        html = page(boss.get(CALLS, {"p": number}))
        seen += re.findall(r'data-poketalk-call="(\d+)"', html)
        assert (f'href="?p={number + 1}"' in html) == (number < 5)

    assert len(set(seen)) == 14
    assert seen == sorted(seen, key=int, reverse=True)
    assert "14 calls" in html  # the last page knows


@pytest.mark.parametrize("number", ["0", "-1", "6", "1000000000000000000000000", "١٢"])
def test_an_invalid_page_redirects_to_the_first(
    number: str, boss: Client, few_a_page: None
) -> None:
    many(14)

    response = boss.get(CALLS, {"p": number})

    assert response.status_code == 302
    assert response.url == f"{CALLS}?e=1"


def test_a_few_calls_can_be_shown_on_one_page(boss: Client, few_a_page: None) -> None:
    many(5)
    assert len(cells(page(boss.get(CALLS)))) == 3
    assert len(cells(page(boss.get(f"{CALLS}?all=")))) == 5

    many(1)
    assert len(cells(page(boss.get(f"{CALLS}?all=")))) == 3


def test_the_number_of_calls_has_thousands_separators(
    boss: Client, monkeypatch: pytest.MonkeyPatch, few_a_page: None
) -> None:
    monkeypatch.setattr(changelist, "count", lambda calls: changelist.AtLeast(10_000))
    many(4)

    assert "10,000+ calls" in page(boss.get(CALLS))


def test_an_empty_list_has_a_message(boss: Client) -> None:
    assert "0 calls" in page(boss.get(CALLS))
