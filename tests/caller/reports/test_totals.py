"""Stored totals: a report that reads them is equal to one that counts the calls, whatever happened
to the calls in the meantime.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from django_poketalk.calls import personal_data, retention
from django_poketalk.events import recording
from django_poketalk.models import (
    CallRequest,
    CallTotals,
    ManualResolution,
    Placement,
    ReportDay,
    Status,
)
from django_poketalk.models.call_totals import changing
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.reports import totals, traffic
from django_poketalk.reports.traffic import Report

from ..people import someone
from .test_traffic import NOON, NUMBERS, WEEK, add, talked
from .test_traffic_laws import random_call

NOW = NOON + timedelta(days=9)  # all calls around NOON are settled then
UNASSIGNED = "+12005550123"  # the code of many countries, in a range of none


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def reports(calls: Any = None) -> dict[str, Report]:
    """All reports, over all calls if there is no queryset."""
    calls = CallRequest.objects.all() if calls is None else calls
    return {by: report(calls, WEEK) for by, report in traffic.BY.items()}


def counted_reports() -> dict[str, Report]:
    """All reports, by counting the calls."""
    return reports(CallRequest.objects.filter(pk__gte=0))


def counted_days() -> int:
    return ReportDay.objects.filter(is_counted=True, day__range=(WEEK.first, WEEK.last)).count()


def some_calls(seed: int) -> random.Random:
    """Calls of a week. None is open at NOW."""
    rng = random.Random(seed)
    users = [someone("anna"), someone("bob"), None]
    for _ in range(60):
        random_call(rng, users)
    add(when=NOON, to_number=UNASSIGNED, ended_at=NOON)
    CallRequest.objects.open().update(stale_at=NOW - timedelta(days=10))
    return rng


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(2))
def test_reports_are_equal_whatever_happens_to_calls_of_counted_days(seed: int) -> None:
    rng = some_calls(seed)
    assert totals.count_days() >= len(WEEK)
    assert reports() == counted_reports()
    for change in rng.sample(CHANGES, len(CHANGES)):
        before = counted_days()
        change(rng)
        assert reports() == counted_reports(), change.__name__
        assert counted_days() > 0, "nothing was read from the totals"
        assert counted_days() >= before - 2, f"{change.__name__} changed more days than necessary"
        totals.count_days(NOW + totals.AGAIN)
        assert counted_days() == len(WEEK)
        assert reports() == counted_reports(), change.__name__


def anyone(rng: random.Random, **facts: Any) -> CallRequest:
    return rng.choice(list(CallRequest.objects.filter(**facts).order_by("pk")))


def resolved(rng: random.Random) -> None:
    call = anyone(rng)
    CallRequest.objects.filter(pk=call.pk).update(placement=Placement.UNKNOWN)
    totals.forget()
    totals.count_days()
    call.refresh_from_db()
    assert call.resolve(ManualResolution.NEVER_RANG, NOW)


def saved(rng: random.Random) -> None:
    call = anyone(rng)
    call.cost += Decimal("1.5")
    call.save()


def deleted(rng: random.Random) -> None:
    anyone(rng).delete()


def deleted_together(rng: random.Random) -> None:
    CallRequest.objects.filter(pk=anyone(rng).pk).delete()


def added(rng: random.Random) -> None:
    talked(when=NOON, seconds=rng.randint(1, 99), to_number=rng.choice(NUMBERS))


def erased(rng: random.Random) -> None:
    number = anyone(rng, created_at__date=NOON.date()).to_number
    others = CallRequest.objects.filter(to_number=number).exclude(created_at__date=NOON.date())
    others.delete()
    totals.count_days(NOW + totals.AGAIN)
    if number:
        personal_data.erase(number)


def left(rng: random.Random) -> None:
    """A user is deleted, whose calls become nobody's."""
    call = anyone(rng)
    if call.user is not None:
        call.user.delete()


CHANGES: list[Callable[[random.Random], None]] = [
    *(resolved, saved, deleted, deleted_together, added, erased, left)
]


@pytest.mark.django_db
def test_reports_are_equal_after_old_numbers_were_forgotten(poketalk: Any) -> None:
    some_calls(7)
    totals.count_days()
    poketalk(FORGET_NUMBERS_AFTER=9)

    assert retention.forget_old_numbers(NOW) > 0

    assert 0 < counted_days() < len(WEEK)
    assert reports() == counted_reports()
    assert "" in {row.key for row in reports()["country"].rows}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "is_counted"),
    [
        ({"ended_at": NOON, "status": Status.AB_DISCONNECTED}, True),
        ({"placement": Placement.REJECTED}, True),
        ({"stale_at": NOON}, True),
        ({"placement": Placement.ACCEPTED}, False),  # open: the sweep did not run
        ({"placement": Placement.QUEUED, "rings_at": NOW + timedelta(days=1)}, False),
        ({"placement": Placement.REJECTED, "max_duration": 30 * 86_400}, False),
        ({"stale_at": NOON, "sent_at": NOW - timedelta(hours=26)}, False),
        ({"ended_at": NOW - timedelta(hours=25), "max_duration": 30 * 86_400}, False),
        ({"ended_at": NOW - timedelta(hours=27), "max_duration": 30 * 86_400}, True),
    ],
)
def test_a_day_is_counted_when_events_no_longer_change_its_calls(
    facts: dict[str, Any], is_counted: bool
) -> None:
    call = add(when=NOON, **({"placement": Placement.ACCEPTED, "max_duration": 3600} | facts))

    totals.count_days()

    assert ReportDay.objects.get(day=NOON.date()).is_counted == is_counted
    assert reports() == counted_reports()
    if is_counted:
        event = Event(CallStatus.AB_DISCONNECTED, "", 60, Decimal(9))
        assert recording.record(call.pk, event, "", NOW) is None


@pytest.mark.django_db
def test_recent_days_are_not_counted() -> None:
    talked(when=NOW - timedelta(hours=20), seconds=5)
    talked(when=NOW - timedelta(days=3), seconds=5)

    totals.count_days()

    days = {day.day: day.is_counted for day in ReportDay.objects.all()}
    assert days[(NOW - timedelta(days=3)).date()]
    assert not any(
        is_counted for day, is_counted in days.items() if day >= (NOW - totals.DAY).date()
    )


@pytest.mark.usefixtures("zones")
def test_other_time_zones_count_the_calls() -> None:
    some_calls(1)
    totals.count_days()
    stored = reports()

    with timezone.override("Pacific/Auckland"):
        assert reports() == counted_reports() != stored


@pytest.mark.usefixtures("zones")
def test_days_are_counted_again_in_another_default_time_zone(settings: Any) -> None:
    some_calls(1)
    totals.count_days()
    settings.TIME_ZONE = "Asia/Kolkata"
    assert reports() == counted_reports()

    totals.count_days(NOW + totals.AGAIN)

    assert counted_days() == len(WEEK)
    assert reports() == counted_reports()


@pytest.mark.django_db
def test_only_reports_over_all_calls_read_totals() -> None:
    some_calls(1)
    totals.count_days()
    CallTotals.objects.update(calls=1000)
    all_calls = CallRequest.objects.all()

    assert traffic.by_day(all_calls, WEEK).total.calls >= 1000
    for part in (
        all_calls.filter(user__username="anna"),
        all_calls.exclude(user=None),
        all_calls.none(),
        CallRequest.objects.due(NOW),
    ):
        for by, report in traffic.BY.items():
            assert report(part, WEEK).total.calls < 100, by


@pytest.mark.django_db
def test_days_that_cannot_be_counted_are_not_checked_each_time(
    django_assert_num_queries: Any,
) -> None:
    add(when=NOON, placement=Placement.ACCEPTED)
    assert totals.count_days() > 0

    with django_assert_num_queries(2):
        assert totals.count_days(NOW) == 0


@pytest.mark.django_db
def test_a_long_count_continues_next_time() -> None:
    some_calls(1)

    assert totals.count_days(seconds=0) == 1
    assert totals.count_days(seconds=0) == 1
    assert totals.count_days() > 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time.")
def test_a_day_is_not_counted_between_a_change_and_its_commit() -> None:
    call = talked(when=NOON, seconds=10)
    totals.count_days()
    changed, counting = threading.Event(), threading.Event()

    def change() -> None:
        try:
            with transaction.atomic(), changing([call.created_at]):
                CallRequest.objects.filter(pk=call.pk).update(cost=Decimal(77))
                changed.set()
                counting.wait(1)  # it must wait for the commit
        finally:
            connection.close()

    changer = threading.Thread(target=change)
    changer.start()
    assert changed.wait(10)
    ReportDay.objects.exclude(day=NOON.date()).delete()
    totals._count(NOON.date(), NOW)
    counting.set()
    changer.join()
    close_old_connections()

    assert ReportDay.objects.get(day=NOON.date()).is_counted
    assert traffic.by_day(CallRequest.objects.all(), WEEK).total.spend == 77


@pytest.mark.django_db
def test_changes_of_recent_calls_cost_nothing(django_assert_num_queries: Any) -> None:
    call = add(when=NOW - timedelta(hours=1), placement=Placement.UNKNOWN)

    with django_assert_num_queries(1):
        assert call.resolve(ManualResolution.RANG, NOW)
