"""The links to years, months and days above the list of calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime

import pytest
from django.test import Client

from django_poketalk.admin import periods
from django_poketalk.admin.periods import Period
from django_poketalk.models import CallRequest

from ..people import page, staff

CALLS = "/admin/poketalk/callrequest/"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def calls_at(new_call: Callable[..., CallRequest]) -> Callable[..., None]:
    def make(*moments: str) -> None:
        for moment in moments:
            at = datetime.fromisoformat(f"{moment}T12:00+00:00")
            CallRequest.objects.filter(pk=new_call().pk).update(created_at=at)

    return make


def way(client: Client, **requested: str) -> tuple[list[tuple[str, str]], str]:
    """The links of the list as texts and URLs, and the text of the whole navigation."""
    html = page(client.get(CALLS, requested))
    nav = html.partition('<nav class="toplinks"')[2].partition(">")[2].partition("</nav>")[0]
    links = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', nav)
    return links, " ".join(re.sub("<[^>]*>", " ", nav).split())


def test_links_lead_from_years_to_a_day_and_back(
    boss: Client, calls_at: Callable[..., None]
) -> None:
    calls_at("2025-11-30", "2026-02-03")

    assert way(boss)[0] == [("?day=2025", "2025"), ("?day=2026", "2026")]
    assert way(boss, day="2025")[0] == [
        ("?", "&lsaquo; All dates"),
        ("?day=2025-11", "November 2025"),
        ("?day=2025-12", "December 2025"),
    ]
    assert way(boss, day="2026-02")[0] == [
        ("?day=2026", "&lsaquo; 2026"),
        ("?day=2026-02-01", "February 1"),
        ("?day=2026-02-02", "February 2"),
        ("?day=2026-02-03", "February 3"),
    ]
    assert way(boss, day="2026-02-03") == (
        [("?day=2026-02", "&lsaquo; February 2026")],
        "&lsaquo; February 2026 February 3",
    )


def test_levels_with_only_one_period_are_skipped(
    boss: Client, calls_at: Callable[..., None]
) -> None:
    assert way(boss) == ([], "")
    calls_at("2026-02-03", "2026-02-04")
    assert way(boss)[0] == [("?day=2026-02-03", "February 3"), ("?day=2026-02-04", "February 4")]
    calls_at("2026-03-01")
    assert way(boss)[0] == [("?day=2026-02", "February 2026"), ("?day=2026-03", "March 2026")]


def test_links_keep_other_filters_and_the_order(
    boss: Client, calls_at: Callable[..., None]
) -> None:
    calls_at("2025-11-30", "2026-02-03")

    links, _words = way(boss, day="2026", outcome="live", o="1", q="+44", p="1")

    for link, _title in links:
        assert "outcome=live" in link
        assert "o=1" in link
        assert "q=%2B44" in link
        assert "p=" not in link
    assert "day" not in links[0][0]
    assert "day=2026-02" in links[-1][0]


@pytest.mark.parametrize("day", ["7", "2025-12-30..2026-01-02", "nonsense"])
def test_other_ranges_link_to_the_top_level(
    day: str, boss: Client, calls_at: Callable[..., None]
) -> None:
    calls_at("2025-11-30", "2026-02-03")

    assert [title for _link, title in way(boss, day=day)[0]] == [
        "&lsaquo; All dates",
        "2025",
        "2026",
    ]


def test_the_range_of_a_whole_month_is_that_month(
    boss: Client, calls_at: Callable[..., None]
) -> None:
    calls_at("2026-02-03")

    assert way(boss, day="2026-02-01..2026-02-28") == way(boss, day="2026-02")


@pytest.mark.parametrize(
    "period",
    [
        Period.day(date(2026, 2, 3)),
        Period.month(date(2024, 2, 3)),
        Period.month(date(2026, 12, 31)),
        Period.year(date(2026, 2, 3)),
        Period(date(2026, 2, 3), date(2026, 3, 3)),
    ],
)
def test_the_text_of_a_period_round_trips(period: Period) -> None:
    assert periods.read(period.address, date(2026, 5, 4)) == period
