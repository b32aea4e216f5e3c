"""The page of reports: the figures of a period, charts, and the CSV file."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from ..people import page, someone, staff
from ..reports.test_traffic import add, rang, talked

pytestmark = pytest.mark.django_db

REPORTS = "/admin/poketalk/callrequest/reports/"


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest")


@pytest.fixture
def some_calls(db: None) -> Any:
    now = timezone.now()
    anna = someone("anna")
    talked(60, now, user=anna, cost=Decimal("1.5"))
    talked(120, now, user=anna, cost=Decimal("0.5"))
    rang(now, user=someone("=evil()"))
    add(now - timedelta(days=40), status=8, ended_at=now)
    return anna


def test_reports_require_the_permission_to_see_all_calls(some_calls: Any) -> None:
    assert staff("guest", "place_call").get(REPORTS).status_code == 403
    assert Client().get(REPORTS).status_code == 302


def test_the_default_period_is_the_last_thirty_days(watcher: Client, some_calls: Any) -> None:
    rendered = page(watcher.get(REPORTS))

    for figure in (
        "<dd><bdi>3</bdi></dd>",
        "<dd><bdi>66.7 %</bdi></dd>",
        "<dd><bdi>1:30</bdi></dd>",
        "<dd><bdi>2.0 s</bdi></dd>",
        "<dd><bdi>2.000</bdi></dd>",
    ):
        assert figure in rendered
    assert rendered.count('<th scope="row">') == 31  # thirty days and the sum


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("user", ["anna", "=evil()"]),
        ("country", ["GB"]),
        ("outcome", ["Connected", "Callee not reached"]),
    ],
)
def test_a_row_for_each(watcher: Client, some_calls: Any, by: str, labels: list[str]) -> None:
    rendered = page(watcher.get(REPORTS, {"by": by}))

    places = [rendered.index(f"{label}<") for label in labels]
    assert places == sorted(places)


def test_one_user_s_calls(watcher: Client, some_calls: Any) -> None:
    assert "<dd><bdi>2</bdi></dd>" in page(watcher.get(REPORTS, {"user": "anna"}))
    assert "There is no user with this name." in page(watcher.get(REPORTS, {"user": "nobody"}))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (
            {"first": "2026-03-02", "last": "2026-03-01"},
            "The first day must not be after the last.",
        ),
        ({"first": "2020-01-01", "last": "2026-03-01"}, "at most 366 days"),
        ({"first": "0001-01-01", "last": "0001-01-02"}, "from 1970-01-01 to 9998-12-31"),
        ({"first": "9999-12-31", "last": "9999-12-31"}, "from 1970-01-01 to 9998-12-31"),
        ({"first": "yesterday"}, "Enter a valid date."),
        ({"by": "<script>"}, "Select a valid choice."),
        ({"user": "\x00"}, "Null characters are not allowed."),
    ],
)
def test_invalid_parameters_show_an_error(
    watcher: Client, query: dict[str, str], error: str
) -> None:
    rendered = page(watcher.get(REPORTS, query))

    assert error in rendered
    assert "<script>" not in rendered


def test_an_empty_period_has_a_message(watcher: Client) -> None:
    rendered = page(watcher.get(REPORTS))

    assert "There are no calls in this period." in rendered
    assert "poketalk-chart" not in rendered


def test_the_charts_have_the_figures_of_the_table(watcher: Client, some_calls: Any) -> None:
    rendered = page(watcher.get(REPORTS))

    today = date_format(timezone.localdate(), "SHORT_DATE_FORMAT")
    for part in ("Connected 2", "Callee not reached 1", "Spend 2"):
        assert f"<title>{today}: {part}</title>" in rendered
    assert "style=" not in rendered.split("poketalk-reports")[1]


def test_users_and_countries_have_charts_of_their_own(watcher: Client, some_calls: Any) -> None:
    for number in range(9):
        talked(when=timezone.now(), user=someone(f"user{number}"), cost=Decimal(number))

    of_users = page(watcher.get(REPORTS, {"by": "user"}))
    of_countries = page(watcher.get(REPORTS, {"by": "country"}))

    assert "Calls by user" in of_users
    assert "<title>anna: Answered 2</title>" in of_users
    assert "<title>anna: Spend 2</title>" in of_users
    assert "<title>=evil(): Not answered 1</title>" in of_users
    assert "<title>others: Answered 4</title>" in of_users
    assert "<title>others: Spend 26</title>" in of_users
    assert "Spend by country called" in of_countries
    assert "<title>GB: Answered 11</title>" in of_countries
    assert "of each day" not in of_users + of_countries


def test_large_numbers_on_a_chart_are_not_abbreviated(watcher: Client) -> None:
    talked(when=timezone.now(), cost=Decimal("1234567.5"))
    rendered = page(watcher.get(REPORTS))

    assert "Spend 1,234,567.5</title>" in rendered
    assert ">1,250,000</text>" in rendered


def test_a_long_period_has_a_bar_for_each_week(watcher: Client) -> None:
    today = timezone.localdate()
    talked(when=timezone.now())

    rendered = page(watcher.get(REPORTS, {"first": str(today - timedelta(days=365))}))

    assert "Calls per week, by outcome" in rendered
    assert rendered.count("Connected 1</title>") == 1
    assert rendered.count('<th scope="row">') == 367


@pytest.mark.parametrize("by", ["day", "user", "outcome"])
def test_a_row_links_to_its_calls_in_the_period_and_of_the_user(
    watcher: Client, some_calls: Any, by: str
) -> None:
    add(timezone.now(), status=8, ended_at=timezone.now(), user=someone("bob"))
    rendered = page(watcher.get(REPORTS, {"by": by, "user": "anna"}))

    links = re.findall(r'<a href="(/admin/poketalk/callrequest/\?day=[^"]*)">', rendered)
    calls = [watcher.get(html.unescape(link)).context["cl"].result_count for link in links]

    assert [count for count in calls if count] == [2]


def test_countries_and_calls_without_a_user_have_no_link(watcher: Client) -> None:
    talked(when=timezone.now())

    for by in ("user", "country"):
        assert "?day=" not in page(watcher.get(REPORTS, {"by": by}))


def test_the_csv_file_has_the_same_figures_and_no_formulas(
    watcher: Client, some_calls: Any
) -> None:
    answer = watcher.get(REPORTS, {"by": "user", "format": "csv"})

    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[0] for row in rows] == ["user", "anna", "'=evil()", "all"]
    anna = dict(zip(rows[0], rows[1], strict=True))
    assert (anna["calls"], anna["asr"], anna["acd_seconds"]) == ("2", "1.0", "90.0")
    assert Decimal(anna["spend"]) == 2
    assert "attachment" in answer["Content-Disposition"]
    assert LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    ("by", "queries"), [("day", 5), ("user", 7), ("country", 6), ("outcome", 5)]
)
def test_queries(
    watcher: Client, some_calls: Any, by: str, queries: int, django_assert_num_queries: Any
) -> None:
    watcher.get(REPORTS)
    with django_assert_num_queries(queries):
        watcher.get(REPORTS, {"by": by})
