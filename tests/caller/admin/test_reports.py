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
from django.contrib.auth.models import Group
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
        "<dd><bdi>3</bdi>",
        "<dd><bdi>66.7 %</bdi>",
        "<dd><bdi>3.0</bdi>",
        "<dd><bdi>1:30</bdi>",
        "<dd><bdi>2.0 s</bdi>",
        "<dd><bdi>2.000</bdi>",
    ):
        assert figure in rendered
    assert rendered.count('<th scope="row">') == 31  # thirty days and the sum


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("user", ["anna", "=evil()"]),
        ("country", ["United Kingdom"]),
        ("outcome", ["Connected", "Callee not reached"]),
    ],
)
def test_a_row_for_each(watcher: Client, some_calls: Any, by: str, labels: list[str]) -> None:
    rendered = page(watcher.get(REPORTS, {"by": by}))

    places = [rendered.index(f"{label}<") for label in labels]
    assert places == sorted(places)


def test_one_user_s_calls(watcher: Client, some_calls: Any) -> None:
    assert "<dd><bdi>2</bdi>" in page(watcher.get(REPORTS, {"user": "anna"}))
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
    assert "<title>user8: Spend 8</title>" in of_users
    assert "<title>=evil(): Not answered 1</title>" in of_users
    assert "<title>others: Answered 4</title>" in of_users
    assert "<title>others: Spend 3</title>" in of_users
    assert "Spend by country called" in of_countries
    assert "<title>United King…: Answered 11</title>" in of_countries
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
    anna, _evil, everyone = (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
    assert (anna["calls"], anna["asr"], anna["acd_seconds"]) == ("2", "1.0", "90.0")
    assert (anna["talk_minutes"], anna["calls_before"]) == ("3.0", "0")
    assert Decimal(anna["spend"]) == 2
    assert (everyone["calls"], everyone["calls_before"]) == ("3", "1")
    assert "attachment" in answer["Content-Disposition"]
    assert LogEntry.objects.get().change_message


def rows_of(watcher: Client, **query: str) -> list[list[str]]:
    """The texts of the table's rows."""
    rendered = page(watcher.get(REPORTS, query))
    table = rendered[rendered.index("<tbody>") : rendered.index("</tbody>")]
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<bdi.*?</bdi>", row)]
        for row in table.split("<tr>")[1:]
    ]


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("-spend", ["carl", "anna", "bob"]),
        ("spend", ["bob", "anna", "carl"]),
        ("-calls", ["anna", "bob", "carl"]),
        ("-talk", ["bob", "anna", "carl"]),
        ("key", ["anna", "bob", "carl"]),
        ("-key", ["carl", "bob", "anna"]),
        ("-calls-change", ["anna", "carl", "bob"]),
        ("-nonsense", ["anna", "bob", "carl"]),
    ],
)
def test_rows_are_sorted_by_any_column(watcher: Client, sort: str, names: list[str]) -> None:
    now = timezone.now()
    anna, bob, carl = (someone(name) for name in ("anna", "bob", "carl"))
    for _ in range(3):
        talked(60, now, user=anna, cost=Decimal(1))
    for _ in range(2):
        talked(600, now, user=bob, cost=Decimal(1))
        talked(1, now - timedelta(days=40), user=bob)
    talked(30, now, user=carl, cost=Decimal(9))

    assert [row[0] for row in rows_of(watcher, by="user", sort=sort)] == names


def test_a_heading_sorts_by_its_column_and_then_the_other_way_round(
    watcher: Client, some_calls: Any
) -> None:
    once = page(watcher.get(REPORTS, {"by": "user", "sort": "-spend"}))

    assert re.search(r'aria-sort="descending"><a href="\?[^"]*sort=spend"', once)
    assert re.search(r'<th scope="col"><a href="\?[^"]*by=user[^"]*sort=-talk"', once)


def test_figures_are_compared_with_the_period_before(watcher: Client, some_calls: Any) -> None:
    talked(60, timezone.now() - timedelta(days=40), user=some_calls)

    rendered = page(watcher.get(REPORTS, {"by": "user", "sort": "-calls"}))

    assert "Compared with" in rendered
    assert '<bdi dir="ltr">+1 (+50.0 %)</bdi>' in rendered  # in all
    assert rows_of(watcher, by="user", sort="-calls")[0][:3] == ["anna", "2", "+1 (+100.0 %)"]


def test_a_team_has_the_calls_of_its_members_and_the_sum_each_once(
    watcher: Client, some_calls: Any
) -> None:
    sales, support = (Group.objects.create(name=name) for name in ("Sales", "Support"))
    some_calls.groups.add(sales, support)

    of_all = rows_of(watcher, by="team")
    of_one = rows_of(watcher, by="user", team=str(sales.pk))

    assert [row[:2] for row in of_all] == [["Sales", "2"], ["Support", "2"], ["no team", "1"]]
    assert "<dd><bdi>3</bdi>" in page(watcher.get(REPORTS, {"by": "team"}))
    assert [row[:2] for row in of_one] == [["anna", "2"]]


def test_the_chosen_user_and_team_have_a_row_without_calls(
    watcher: Client, some_calls: Any
) -> None:
    someone("bob")
    sales = Group.objects.create(name="Sales")

    assert rows_of(watcher, by="user", user="bob")[0][:2] == ["bob", "0"]
    assert rows_of(watcher, by="team", team=str(sales.pk))[0][:2] == ["Sales", "0"]


def test_the_chosen_team_has_a_bar_of_its_own(watcher: Client) -> None:
    anna, now = someone("anna"), timezone.now()
    teams = [Group.objects.create(name=f"Team {number}") for number in range(9)]
    anna.groups.set(teams)
    talked(60, now, user=anna)

    rendered = page(watcher.get(REPORTS, {"by": "team", "team": str(teams[8].pk)}))

    assert "<title>Team 8: Answered 1</title>" in rendered
    assert "<title>others: Answered 2</title>" in rendered


def test_the_second_chart_shows_the_figure_that_the_table_is_sorted_by(
    watcher: Client, some_calls: Any
) -> None:
    rendered = page(watcher.get(REPORTS, {"by": "user", "sort": "-talk"}))

    assert "Talk minutes by user" in rendered
    assert "<title>anna: Talk minutes 3</title>" in rendered


def test_unusual_figures_are_marked(watcher: Client) -> None:
    for number in range(9):
        user = someone(f"user{number}")
        for _ in range(9 if number == 8 else 1 + number % 2):
            add(timezone.now(), user=user, status=6, ended_at=timezone.now())

    rendered = page(watcher.get(REPORTS, {"by": "user"}))

    assert rendered.count('title="unusually high"') == 1
    assert "unusually low" not in rendered


def test_spend_has_its_currency_if_it_is_known(
    watcher: Client, some_calls: Any, settings: Any
) -> None:
    settings.POKETALK = {**settings.POKETALK, "CURRENCY": "EUR"}

    answer = watcher.get(REPORTS, {"by": "country", "format": "csv"})

    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    [line, _all] = csv.DictReader(io.StringIO(text))
    assert (line["country called"], line["key"]) == ("United Kingdom", "GB")
    assert line["currency"] == "EUR"


@pytest.mark.parametrize(
    ("by", "queries"),
    [("day", 9), ("user", 10), ("team", 10), ("country", 9), ("outcome", 9)],
)
def test_queries(
    watcher: Client, some_calls: Any, by: str, queries: int, django_assert_num_queries: Any
) -> None:
    watcher.get(REPORTS)
    with django_assert_num_queries(queries):
        watcher.get(REPORTS, {"by": by})
