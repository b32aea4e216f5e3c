"""Traffic reports: the number of calls, their outcomes, talk time and cost.

The measures follow ITU-T E.425, as far as the protocol reports what they need. Each property of
`Figures` documents what it counts. The functions here return plain values, not HTML. Each report is
one aggregate query over the calls of a period, which uses the index on the time of creation.
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
# Rejected because of the request itself, not for lack of a route or funds.
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


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals of some calls. The figures of parts add up to the figures of the whole."""

    calls: int = 0
    seizures: int = 0  # calls to the callee's phone that rang, if answered or ended
    answered: int = 0  # by the callee
    requested: int = 0  # ended calls that were sent to the service with a valid request
    delivered: int = 0  # of these, the calls that reached a phone
    talk: timedelta = NOTHING  # from the callee's answer to the end, if both are known
    talks: int = 0
    delay: timedelta = NOTHING  # from the request to dialing the caller's phone, if both are known
    delays: int = 0
    spend: Decimal = Decimal(0)

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio (E.425): the share of answered calls of those in which the callee's
        phone rang, or None if none rang. Phones that still ring are not counted.
        """
        return _ratio(self.answered, self.seizures)

    @property
    def ner(self) -> float | None:
        """Network effectiveness ratio (E.425): the share of requested calls that reached a phone,
        answered or not.

        This is an upper bound, because the protocol has one status for phones that are busy, do not
        answer or cannot be reached. Cancelled and expired calls, invalid requests and calls in
        progress are not counted.
        """
        return _ratio(self.delivered, self.requested)

    @property
    def acd(self) -> timedelta | None:
        """Average call duration: the mean talk time of the calls that both parties answered."""
        return self.talk / self.talks if self.talks else None

    @property
    def pdd(self) -> timedelta | None:
        """Post-dial delay: the mean time from the request to dialing the caller's phone.

        The protocol does not report ringing, so this is the delay of the service, without the time
        until the phone rings.
        """
        return self.delay / self.delays if self.delays else None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report. `key` is a date, a user's primary key, a country's ISO 3166 alpha-2
    code or an outcome; None or "" if there is none. `label` is the user's name, or "".
    """

    key: Any
    label: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order of display, and their total."""

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
    found = {group["user_id"]: _read(group) for group in _grouped(calls, period, "user_id")}
    users: Any = get_user_model()
    people = users._default_manager.in_bulk([key for key in found if key is not None])
    rows = [
        Row(key, people[key].get_username() if key in people else "", figures)
        for key, figures in found.items()
    ]
    return _report(sorted(rows, key=lambda row: (row.key is None, -row.figures.calls, row.label)))


def by_country(calls: QuerySet[CallRequest], period: Period) -> Report:
    """A row for each country that was called, most calls first. "" if it is not known, for example
    because the numbers were erased.

    The database groups by the beginning of the number that determines the country. Any number of
    the group then gives the country, or else its country code does.
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
    """The figures of each day by outcome; days without calls are empty."""
    found: OutcomesByDay = {day: {} for day in period.days}
    grouped = _grouped(
        calls, period, "day", "placement", "status", "open", day=TruncDate("created_at")
    )
    for group in grouped:
        outcome = outcomes.of(group["placement"], group["status"], group["open"])
        day = found[_checked_day(group["day"])]
        day[outcome] = day.get(outcome, Figures()) + _read(group)
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


def _country(*of_group: str) -> str:
    """The country of numbers with the same beginning; "" if it is not known."""
    assigned = filter(None, map(numbers.country, of_group))
    return next(assigned, None) or numbers.country_of_code(of_group[0]) or ""


def _prefix() -> Case:
    """The beginning of the callee's number that determines its country."""
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
    """The figures, grouped by these columns."""
    ended = ~Q(open=True)
    talked = Q(b_answered_at__isnull=False, ended_at__gte=F("b_answered_at"))
    dialed = Q(sent_at__isnull=False, a_initiated_at__gte=F("sent_at"))
    requested = ended & ~WITHDRAWN & ~OUR_FAULT
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
            seizures=Count("pk", filter=RANG_B & (ended | ANSWERED_B)),
            answered=Count("pk", filter=ANSWERED_B),
            requested=Count("pk", filter=requested),
            delivered=Count("pk", filter=requested & DELIVERED),
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


def _checked_day(day: Any) -> Any:
    """The day. Raises `ImproperlyConfigured` if the database could not compute it."""
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
