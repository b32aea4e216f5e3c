"""Traffic reports: the number of calls, their outcomes, talk time and cost.

The functions here return plain values, not HTML. A report over all calls reads the stored totals of
past days (see `totals`), and counts only the calls of other days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db.models import QuerySet

from ..models import CallRequest
from ..protocol import numbers
from ..shared import periods
from . import counting, totals
from .figures import Figures
from .outcomes import Outcome

MAX_DAYS = 366
EARLIEST, LATEST = date(1970, 1, 1), date(9998, 12, 31)  # each midnight is a time everywhere

ANY_DIGITS = "0000000"  # which make a number of a prefix
OutcomesByDay = dict[date, dict[str, Figures]]


@dataclass(frozen=True, slots=True)
class Period(periods.Period):
    """The days of a report. Raises `ValueError` if the first day is after the last, if there are
    more than `MAX_DAYS`, or if a day is not between `EARLIEST` and `LATEST`.
    """

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(
                f"A period does not end ({self.last}) before it begins ({self.first})."
            )
        if self.first < EARLIEST or self.last > LATEST:
            raise ValueError(f"A report covers days from {EARLIEST} to {LATEST}.")
        if len(self) > MAX_DAYS:
            raise ValueError(f"A report covers at most {MAX_DAYS} days, not {len(self)}.")

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    @classmethod
    def until(cls, last: date, days: int) -> Period:
        """This number of days, ending with `last`."""
        return cls(last - timedelta(days=days - 1), last)

    @property
    def days(self) -> list[date]:
        """Each day, earliest first."""
        return [self.first + timedelta(days=n) for n in range(len(self))]

    def before(self) -> Period | None:
        """The period to compare with: the month before a whole month, the year before a whole year,
        else as many days, up to the day before. None if that is before `EARLIEST`.
        """
        last = self.first - timedelta(days=1)
        begins, ends = self.first.day == 1, (self.last + timedelta(days=1)).day == 1
        months = 12 * (self.last.year - self.first.year) + self.last.month - self.first.month
        if begins and ends and months in (0, 11):
            first = last.replace(day=1)
            if months:
                first = self.first.replace(year=self.first.year - 1)
        else:
            first = self.first - timedelta(days=len(self))
        return Period(first, last) if first >= EARLIEST else None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report. `key` is a date, the primary key of a user or a group, a country's ISO
    3166 alpha-2 code, an outcome or a disposition; None or "" if there is none. `label` is the name
    of the user or the group, or "".
    """

    key: Any
    label: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order of display, and their total. Each call counts once in the total, also if
    it is in several rows: those of its user's teams.
    """

    rows: list[Row]
    total: Figures


def by_day(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each day of the period, also for days without calls."""
    return days_of(outcomes_by_day(calls, period))


def by_outcome(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each outcome that occurred (see `outcomes`)."""
    return outcomes_of(outcomes_by_day(calls, period))


def by_user(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each user, most calls first; the last is for calls without a user."""
    found = _figures_of_users(calls, period)
    users: Any = get_user_model()
    people = users._default_manager.in_bulk([key for key in found if key is not None])
    rows = [
        Row(key, people[key].get_username() if key in people else "", figures)
        for key, figures in found.items()
    ]
    return _report(sorted(rows, key=lambda row: (row.key is None, -row.figures.calls, row.label)))


def by_team(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each group with users who called, most calls first; the last is for calls without a
    user, and of users without a group. A user in several groups counts in each.
    """
    of_users = _figures_of_users(calls, period)
    names: dict[Any, str] = {None: ""}
    found: dict[Any, Figures] = {}
    teams = _teams([user for user in of_users if user is not None])
    for user, figures in of_users.items():
        for team, name in teams.get(user) or [(None, "")]:
            names[team] = name
            found[team] = found.get(team, Figures()) + figures
    rows = [Row(team, names[team], figures) for team, figures in found.items()]
    rows.sort(key=lambda row: (row.key is None, -row.figures.calls, row.label))
    return Report(rows, sum(of_users.values(), Figures()))


def _figures_of_users(calls: QuerySet[CallRequest], period: Period) -> dict[Any, Figures]:
    found: dict[Any, Figures] = {}
    for (key,), figures in totals.groups("user", calls, period):
        found[key] = found.get(key, Figures()) + figures
    return found


def have_teams() -> bool:
    """Whether users have Django's groups, which a project's own user model may lack."""
    try:
        return get_user_model()._meta.get_field("groups").related_model is Group
    except FieldDoesNotExist:
        return False


def _teams(users: list[Any]) -> dict[Any, list[tuple[Any, str]]]:
    """The groups of these users: of each its primary key and its name."""
    found: dict[Any, list[tuple[Any, str]]] = {}
    if users and have_teams():
        people: Any = get_user_model()._default_manager.filter(pk__in=users, groups__isnull=False)
        for user, *team in people.values_list("pk", "groups__pk", "groups__name"):
            found.setdefault(user, []).append(tuple(team))
    return found


def by_country(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each country that was called, most calls first. "" if it is not known, for example
    because the numbers were erased.

    Calls are grouped by the beginning of the number that determines the country. Any number of the
    group then gives the country, or else its country code does.
    """
    countries: dict[str, str] = {}
    by_prefix: dict[str, Figures] = {}
    for (prefix, country), figures in totals.groups("prefix", calls, period):
        countries[prefix] = countries.get(prefix) or country
        by_prefix[prefix] = by_prefix.get(prefix, Figures()) + figures
    found: dict[str, Figures] = {}
    for prefix, figures in by_prefix.items():
        country = countries[prefix] or numbers.country_of_code(prefix + ANY_DIGITS) or ""
        found[country] = found.get(country, Figures()) + figures
    rows = [Row(country, "", figures) for country, figures in found.items()]
    return _report(sorted(rows, key=lambda row: (row.key == "", -row.figures.calls, row.key)))


def by_service(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each service, by its alias, most calls first."""
    found: dict[str, Figures] = {}
    for (alias,), figures in totals.groups("service", calls, period):
        found[alias] = found.get(alias, Figures()) + figures
    rows = [Row(alias, alias, figures) for alias, figures in found.items()]
    return _report(sorted(rows, key=lambda row: (-row.figures.calls, row.label)))


def by_disposition(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each result that was chosen, most calls first; the last is for calls without one.
    Reads the calls themselves, since stored totals have no results.
    """
    found: dict[str, Figures] = {}
    for (key,), figures in counting.by_disposition(calls, [(period.begins, period.ends)]):
        found[key] = found.get(key, Figures()) + figures
    rows = [Row(key, "", figures) for key, figures in found.items()]
    return _report(sorted(rows, key=lambda row: (row.key == "", -row.figures.calls, row.key)))


BY: dict[str, Callable[[QuerySet[CallRequest], Period], Report]] = {
    "day": by_day,
    "user": by_user,
    "team": by_team,
    "country": by_country,
    "service": by_service,
    "outcome": by_outcome,
    "disposition": by_disposition,
}


def outcomes_by_day(calls: QuerySet[CallRequest], period: Period) -> OutcomesByDay:
    """The figures of each day by outcome; days without calls are empty."""
    found: OutcomesByDay = {day: {} for day in period.days}
    for (day, outcome), figures in totals.groups("outcome", calls, period):
        found[day][outcome] = found[day].get(outcome, Figures()) + figures
    return found


def days_of(found: OutcomesByDay) -> Report:
    """The report by day, from the result of `outcomes_by_day`."""
    return _report([Row(day, "", sum(parts.values(), Figures())) for day, parts in found.items()])


def outcomes_of(found: OutcomesByDay) -> Report:
    """The report by outcome, from the result of `outcomes_by_day`."""
    rows = []
    for outcome in Outcome:
        parts = [day[outcome] for day in found.values() if outcome in day]
        if parts:
            rows.append(Row(outcome, "", sum(parts, Figures())))
    return _report(rows)


def _report(rows: list[Row]) -> Report:
    return Report(rows, sum((row.figures for row in rows), Figures()))
