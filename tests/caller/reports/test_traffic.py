"""What is counted of which calls; what holds for any calls is in `test_report_laws`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from django_poketalk.reports import traffic
from django_poketalk.reports.figures import Figures
from django_poketalk.reports.outcomes import Outcome
from django_poketalk.reports.traffic import Period

from ..people import someone

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
WEEK = Period(date(2026, 3, 6), date(2026, 3, 12))
NUMBERS = ["+442079460123", "+493012345678", "+12125550123", "+14165550123", "+77012345678", ""]

pytestmark = pytest.mark.django_db


def add(when: datetime = NOON, **facts: Any) -> CallRequest:
    defaults = {
        "from_number": "+442079460000",
        "to_number": NUMBERS[0],
        "max_duration": 3600,
        "expires_at": when + timedelta(minutes=2),
        "placement": Placement.ACCEPTED,
    }
    return CallRequest.objects.create(created_at=when, **defaults | facts)


def talked(seconds: int = 60, when: datetime = NOON, **facts: Any) -> CallRequest:
    """A call that was connected for so long."""
    stages = {
        "sent_at": when,
        "a_initiated_at": when + timedelta(seconds=2),
        "a_answered_at": when + timedelta(seconds=6),
        "b_initiated_at": when + timedelta(seconds=6),
        "b_answered_at": when + timedelta(seconds=10),
        "ended_at": when + timedelta(seconds=10 + seconds),
        "duration": 4 + seconds,
    }
    return add(when, status=8, **stages | facts)


def rang(when: datetime = NOON, **facts: Any) -> CallRequest:
    """A call whose leg B was not reached."""
    return add(when, status=6, b_initiated_at=when, ended_at=when, **facts)


def total() -> Figures:
    return traffic.by_day(CallRequest.objects.all(), WEEK).total


def test_asr_is_the_share_of_rung_leg_bs_that_answered() -> None:
    talked()
    rang()
    rang()
    add(status=4, b_initiated_at=NOON, ended_at=NOON)
    add(status=2, ended_at=NOON)  # leg B was never rung
    add(status=5, b_initiated_at=NOON)  # still rings

    assert (total().seizures, total().answered) == (4, 1)
    assert total().asr == 0.25


def test_a_connected_call_counts_as_answered() -> None:
    add(status=7, b_initiated_at=NOON, b_answered_at=NOON)

    assert total().asr == 1.0
    assert total().acd is None


def test_ner_is_the_share_of_requested_calls_that_reached_a_phone() -> None:
    talked()
    rang()
    add(status=2, ended_at=NOON)
    add(placement=Placement.REJECTED, response_code="70")  # no gateway
    add(placement=Placement.FAILED)
    add(placement=Placement.REJECTED, response_code="60")  # blacklisted: nothing of the network
    add(placement=Placement.CANCELLED)
    add(status=1)  # goes on

    assert (total().delivered, total().requested) == (3, 5)
    assert total().ner == 0.6


def test_acd_is_the_average_talk_time() -> None:
    talked(30)
    talked(90)
    talked(56, b_answered_at=None)  # that event was missed, so that all of its 60 s count
    talked(999, ended_at=None)  # goes on
    rang()

    assert total().acd == timedelta(seconds=60)


def test_pdd_is_from_the_request_to_the_dialing_of_leg_a() -> None:
    talked()  # 2 s
    talked(a_initiated_at=NOON + timedelta(seconds=5))
    add(placement=Placement.REJECTED, response_code="70", sent_at=NOON)

    assert total().pdd == timedelta(seconds=3.5)


def test_ratios_without_calls_are_none() -> None:
    assert (total().asr, total().ner, total().acd, total().pdd) == (None, None, None, None)
    assert (total().calls, total().spend) == (0, 0)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"placement": "queued"}, Outcome.LIVE),
        ({"status": 7}, Outcome.LIVE),
        ({"status": 7, "stale_at": NOON}, Outcome.CONNECTED),
        ({"status": 5, "stale_at": NOON}, Outcome.UNKNOWN),
        ({"status": 8, "ended_at": NOON}, Outcome.CONNECTED),
        ({"status": 6, "ended_at": NOON}, Outcome.CALLEE),
        ({"status": 4, "ended_at": NOON}, Outcome.EARLY),
        ({"status": 2, "ended_at": NOON}, Outcome.CALLER),
        ({"placement": "rejected", "response_code": "70"}, Outcome.REFUSED),
        ({"placement": "failed"}, Outcome.UNREACHABLE),
        ({"placement": "expired"}, Outcome.WITHDRAWN),
        ({"placement": "unknown"}, Outcome.LIVE),
        ({"placement": "unknown", "stale_at": NOON}, Outcome.UNKNOWN),
        ({"placement": "unknown", "status": 8, "ended_at": NOON}, Outcome.CONNECTED),
    ],
)
def test_each_call_has_one_outcome(facts: dict[str, Any], outcome: str) -> None:
    add(**facts)

    report = traffic.by_outcome(CallRequest.objects.all(), WEEK)

    assert [(row.key, row.figures.calls) for row in report.rows] == [(outcome, 1)]


def test_a_period_can_be_given_by_its_last_day_and_length() -> None:
    assert Period.until(date(2026, 3, 12), days=7) == WEEK


@pytest.mark.usefixtures("zones")
def test_days_are_in_the_current_time_zone() -> None:
    late = datetime(2026, 3, 8, 23, 30, tzinfo=UTC)
    add(late)

    with timezone.override(ZoneInfo("Asia/Tokyo")):
        rows = traffic.by_day(CallRequest.objects.all(), WEEK).rows

    assert len(rows) == 7
    assert [row.key for row in rows if row.figures.calls] == [date(2026, 3, 9)]


@pytest.mark.usefixtures("zones")
def test_a_day_with_a_clock_change_is_complete() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        sunday = date(2026, 3, 29)
        add(datetime(2026, 3, 28, 22, 59, tzinfo=UTC))  # Saturday 23:59
        add(datetime(2026, 3, 28, 23, 0, tzinfo=UTC))
        add(datetime(2026, 3, 29, 21, 59, tzinfo=UTC))
        add(datetime(2026, 3, 29, 22, 0, tzinfo=UTC))  # Monday 0:00

        report = traffic.by_day(CallRequest.objects.all(), Period(sunday, sunday))

    assert report.total.calls == 2


class UnknownZone(ZoneInfo):
    def __str__(self) -> str:
        return "Nowhere/Else"


@pytest.mark.skipif(connection.vendor != "mysql", reason="Other databases know all time zones.")
def test_a_time_zone_that_mariadb_does_not_know_is_an_error() -> None:
    add()

    with (
        timezone.override(UnknownZone("Asia/Tokyo")),
        pytest.raises(ImproperlyConfigured, match="mysql_tzinfo_to_sql"),
    ):
        traffic.by_day(CallRequest.objects.all(), WEEK)


def test_countries_with_the_same_code_are_distinguished() -> None:
    for number in NUMBERS:
        add(to_number=number)

    rows = traffic.by_country(CallRequest.objects.all(), WEEK).rows

    assert [row.key for row in rows] == ["CA", "DE", "GB", "KZ", "US", ""]


def test_unassigned_numbers_have_the_country_of_similar_numbers() -> None:
    add(to_number="+14160000000")
    add(to_number="+14165550123")

    rows = traffic.by_country(CallRequest.objects.all(), WEEK).rows

    assert [(row.key, row.figures.calls) for row in rows] == [("CA", 2)]


@pytest.mark.parametrize(
    ("number", "country"),
    [("+447700900123", "GB"), ("+13110000000", "US"), ("+881612345678", ""), ("+99900000", "")],
)
def test_otherwise_they_have_the_country_of_their_code(number: str, country: str) -> None:
    add(to_number=number)

    rows = traffic.by_country(CallRequest.objects.all(), WEEK).rows

    assert [row.key for row in rows] == [country]


def test_users_are_named_and_calls_without_a_user_are_last() -> None:
    anna, bob = someone("anna"), someone("bob")
    for user in (None, None, None, bob, bob, anna):
        add(user=user)

    rows = traffic.by_user(CallRequest.objects.all(), WEEK).rows

    assert [(row.label, row.figures.calls) for row in rows] == [("bob", 2), ("anna", 1), ("", 3)]


@pytest.mark.parametrize(
    ("by", "queries"), [("day", 2), ("user", 3), ("country", 2), ("outcome", 2)]
)
def test_a_report_takes_one_query_and_one_each_for_counted_days_and_user_names(
    by: str, queries: int
) -> None:
    for name in ("anna", "bob", "carl"):
        talked(user=someone(name))

    with CaptureQueriesContext(
        connection,
    ) as captured:
        traffic.BY[by](CallRequest.objects.all(), WEEK)

    assert len(captured) == queries


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (date(2026, 3, 2), date(2026, 3, 1), "does not end"),
        (date(2025, 1, 1), date(2026, 1, 2), "at most 366 days, not 367"),
        (date.min, date.min, "from 1970-01-01 to 9998-12-31"),
        (date.max, date.max, "from 1970-01-01 to 9998-12-31"),
    ],
)
def test_an_invalid_period_is_refused(first: date, last: date, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Period(first, last)
