"""Traffic reports: how many calls, how they went, how long they took and what they cost.

The measures are those of ITU-T E.425 as far as the protocol tells what they need; each
property of `Figures` says what is counted. Query functions and plain values, no HTML: one aggregate
query over the calls of a period, by the index on their creation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import (
    BooleanField,
    Case,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Substr, TruncDate

from ..models import CallRequest, Placement
from ..models.calls import IS_OPEN
from ..protocol import numbers
from ..protocol.codes import CallStatus, ResponseCode
from ..shared import periods
from . import outcomes
from .outcomes import Outcome

MAX_DAYS = 366
EARLIEST, LATEST = date(1970, 1, 1), date(9998, 12, 31)  # each midnight is a time everywhere

RANG_B = Q(b_initiated_at__isnull=False) | Q(
    status__in=[
        CallStatus.B_INITIATED,
        CallStatus.B_FAILED,
        CallStatus.B_ANSWERED,
        CallStatus.AB_DISCONNECTED,
    ]
)
ANSWERED_B = Q(b_answered_at__isnull=False) | Q(
    status__in=[CallStatus.B_ANSWERED, CallStatus.AB_DISCONNECTED]
)
# Refused for what was asked, and not for want of a way or of funds: says nothing of the network.
OUR_FAULT = Q(
    placement=Placement.REJECTED,
    response_code__in=[
        "",
        ResponseCode.EMPTY_API_KEY,
        ResponseCode.EMPTY_FROM,
        ResponseCode.EMPTY_TO,
        ResponseCode.UNKNOWN_API_USER,
        ResponseCode.BLACKLISTED,
        ResponseCode.UNKNOWN_ADDRESS,
    ],
)
WITHDRAWN = Q(placement__in=[Placement.CANCELLED, Placement.EXPIRED])
DELIVERED = ANSWERED_B | Q(
    status__in=[CallStatus.A_FAILED, CallStatus.A_DISCONNECTED, CallStatus.B_FAILED]
)
NOTHING = timedelta(0)

OutcomesByDay = dict[date, dict[str, "Figures"]]


@dataclass(frozen=True, slots=True)
class Period(periods.Period):
    """The days of a report. Raises `ValueError` when the first is after the last, when there are
    more than `MAX_DAYS`, or when they are not between `EARLIEST` and `LATEST`.
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
        """So many days up to `last`."""
        return cls(last - timedelta(days=days - 1), last)

    @property
    def days(self) -> list[date]:
        """Each day, the first first."""
        return [self.first + timedelta(days=n) for n in range(len(self))]


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of some calls. Figures of parts add up to those of the whole."""

    calls: int = 0
    seizures: int = 0  # legs B that were rung, of calls that are over or were answered
    answered: int = 0  # legs B
    asked: int = 0  # of the service, of calls that are over
    delivered: int = 0  # of these, those that reached a phone
    talk: timedelta = NOTHING  # from B's answer to the end, where both were told
    talks: int = 0
    delay: timedelta = NOTHING  # from our request to leg A's dialling, where both are known
    delays: int = 0
    spend: Decimal = Decimal(0)

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio of leg B (E.425): answered of those that were rung; None for none.

        Calls whose leg B still rings are left out.
        """
        return _ratio(self.answered, self.seizures)

    @property
    def ner(self) -> float | None:
        """Network effectiveness ratio (E.425): of the calls that the service was asked for, those
        that it brought to a phone, whatever the person there did.

        An upper bound: the protocol gives one status to a phone that was busy or not answered,
        which counts as delivered, and to one that could not be reached. Left out are calls that
        were withdrawn, that were refused for what was asked, and that still go on.
        """
        return _ratio(self.delivered, self.asked)

    @property
    def acd(self) -> timedelta | None:
        """Average call duration: how long both talked, over the calls that both answered."""
        return self.talk / self.talks if self.talks else None

    @property
    def pdd(self) -> timedelta | None:
        """Post-dial delay: from our request to the moment at which leg A is dialed, on average.

        Ringing is not told, so this is what the service adds, not what a person waits for a tone.
        """
        return self.delay / self.delays if self.delays else None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report. `key` is a date, a user's primary key, a country's ISO 3166 alpha-2
    code or an outcome; None or "" where there is none. `label` is the user's name, else "".
    """

    key: Any
    label: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order in which people read them, and what they add up to."""

    rows: list[Row]
    total: Figures


def by_day(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each day of the period, also for those without a call."""
    return days_of(outcomes_by_day(calls, period))


def by_outcome(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each outcome that some call had (see `outcomes`)."""
    return outcomes_of(outcomes_by_day(calls, period))


def by_user(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each user, who placed most first; the last is for calls that no user placed."""
    found = {group["user_id"]: _read(group) for group in _grouped(calls, period, "user_id")}
    users: Any = get_user_model()
    people = users._default_manager.in_bulk([key for key in found if key is not None])
    rows = [
        Row(key, people[key].get_username() if key in people else "", figures)
        for key, figures in found.items()
    ]
    return _report(sorted(rows, key=lambda row: (row.key is None, -row.figures.calls, row.label)))


def by_country(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each country that was called, the most called first. "" where it is not known, as
    of numbers that were forgotten.

    The database groups by as much of a number as tells its country; what country that is, one of
    the group's numbers shows. Where nobody has such numbers, it is the country of their code.
    """
    grouped = _grouped(calls, period, "prefix", prefix=_prefix())
    found: dict[str, Figures] = {}
    for group in grouped.annotate(highest=Max("to_number"), lowest=Min("to_number")):
        country = _country(group["highest"], group["lowest"])
        found[country] = found.get(country, Figures()) + _read(group)
    rows = [Row(country, "", figures) for country, figures in found.items()]
    return _report(sorted(rows, key=lambda row: (row.key == "", -row.figures.calls, row.key)))


BY: dict[str, Callable[[QuerySet[CallRequest], Period], Report]] = {
    "day": by_day,
    "user": by_user,
    "country": by_country,
    "outcome": by_outcome,
}


def outcomes_by_day(calls: QuerySet[CallRequest], period: Period) -> OutcomesByDay:
    """What was counted of each day's calls, by their outcome; days without a call are empty."""
    found: OutcomesByDay = {day: {} for day in period.days}
    grouped = _grouped(
        calls, period, "day", "placement", "status", "open", day=TruncDate("created_at")
    )
    for group in grouped:
        outcome = outcomes.of(group["placement"], group["status"], group["open"])
        day = found[_told(group["day"])]
        day[outcome] = day.get(outcome, Figures()) + _read(group)
    return found


def days_of(found: OutcomesByDay) -> Report:
    """The report by day, of what `outcomes_by_day` has found."""
    return _report([Row(day, "", sum(parts.values(), Figures())) for day, parts in found.items()])


def outcomes_of(found: OutcomesByDay) -> Report:
    """The report by outcome, of what `outcomes_by_day` has found."""
    rows = []
    for outcome in Outcome:
        parts = [day[outcome] for day in found.values() if outcome in day]
        if parts:
            rows.append(Row(outcome, "", sum(parts, Figures())))
    return _report(rows)


def _report(rows: list[Row]) -> Report:
    return Report(rows, sum((row.figures for row in rows), Figures()))


def _country(*of_group: str) -> str:
    """The country of numbers that begin alike; "" where it is not known."""
    assigned = filter(None, map(numbers.country, of_group))
    return next(assigned, None) or numbers.country_of_code(of_group[0]) or ""


def _prefix() -> Case:
    """As much of the number called as tells its country."""
    beginnings = sorted(numbers.COUNTRY_LENGTHS, key=len, reverse=True)
    return Case(
        *(
            When(
                to_number__startswith=beginning,
                then=Substr("to_number", 1, numbers.COUNTRY_LENGTHS[beginning]),
            )
            for beginning in beginnings
        ),
        default=Substr("to_number", 1, numbers.COUNTRY_LENGTH),
    )


def _grouped(
    calls: QuerySet[CallRequest], period: Period, *columns: str, **expressions: Any
) -> Any:
    """What was counted, by these columns."""
    over = ~Q(open=True)
    talked = Q(b_answered_at__isnull=False, ended_at__gte=F("b_answered_at"))
    dialed = Q(sent_at__isnull=False, a_initiated_at__gte=F("sent_at"))
    asked = over & ~WITHDRAWN & ~OUR_FAULT
    return (
        calls.filter(created_at__gte=period.begins, created_at__lt=period.ends)
        .annotate(
            open=Case(When(IS_OPEN, then=True), default=False, output_field=BooleanField()),
            **expressions,
        )
        .order_by()
        .values(*columns)
        .annotate(
            calls=Count("pk"),
            seizures=Count("pk", filter=RANG_B & (over | ANSWERED_B)),
            answered=Count("pk", filter=ANSWERED_B),
            asked=Count("pk", filter=asked),
            delivered=Count("pk", filter=asked & DELIVERED),
            talk=Sum(_between("b_answered_at", "ended_at"), filter=talked),
            talks=Count("pk", filter=talked),
            delay=Sum(_between("sent_at", "a_initiated_at"), filter=dialed),
            delays=Count("pk", filter=dialed),
            spend=Sum("cost", default=Value(Decimal(0))),
        )
    )


def _read(group: dict[str, Any]) -> Figures:
    return Figures(
        **{field.name: group[field.name] for field in fields(Figures)}
        | {"talk": group["talk"] or NOTHING, "delay": group["delay"] or NOTHING}
    )


def _told(day: Any) -> Any:
    """The day, as the database has told it."""
    if day is None:
        raise ImproperlyConfigured(
            "The database does not know the current time zone. MySQL and MariaDB learn time zones "
            "from mysql_tzinfo_to_sql."
        )
    return day


def _between(first: str, last: str) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(F(last) - F(first), output_field=DurationField())


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
