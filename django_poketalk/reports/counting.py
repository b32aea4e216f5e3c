"""Counts calls: one aggregate query for each grouping, over the calls of some spans of time, which
uses the index on the time of creation.

Each function takes a queryset of calls and the spans, each with its first moment and the first
moment after it, and yields pairs of a key and `Figures`. A key may come more than once; its figures
add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

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
from ..models.states import IS_OPEN
from ..protocol import numbers
from ..protocol.codes import CallStatus, ResponseCode
from . import outcomes
from .figures import NOTHING, Figures

Groups = Iterator[tuple[tuple[Any, ...], Figures]]
Spans = Sequence[tuple[datetime, datetime]]
Counting = Callable[[QuerySet[CallRequest], Spans], Groups]

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


def within(spans: Spans) -> Q:
    """The calls that were requested in one of these spans. There is at least one span."""
    each = (Q(created_at__gte=begins, created_at__lt=ends) for begins, ends in spans)
    return reduce(or_, each)


def brief_total(calls: QuerySet[CallRequest], spans: Spans) -> Figures:
    """The total of all these calls with only some of its figures, which is several times as fast:
    calls, answered calls, talk time and cost.
    """
    found = calls.filter(within(spans)).aggregate(
        calls=Count("pk"),
        answered=Count("pk", filter=ANSWERED_B),
        talk=Sum("final_talk_time", default=0),
        spend=Sum("cost", default=Value(Decimal(0))),
    )
    return Figures(**found | {"talk": timedelta(seconds=int(found["talk"]))})


def by_outcome(calls: QuerySet[CallRequest], spans: Spans) -> Groups:
    """The keys are the day in the current time zone, and the outcome."""
    by = ("day", "placement", "status", "open")
    for group in _grouped(calls, spans, *by, day=TruncDate("created_at")):
        outcome = outcomes.of(group["placement"], group["status"], group["open"])
        yield (_checked_day(group["day"]), outcome), _read(group)


def by_user(calls: QuerySet[CallRequest], spans: Spans) -> Groups:
    """The key is the primary key of the user, or None."""
    for group in _grouped(calls, spans, "user_id"):
        yield (group["user_id"],), _read(group)


def by_prefix(calls: QuerySet[CallRequest], spans: Spans) -> Groups:
    """The keys are the beginning of the callee's number that determines its country, and the
    country, which is "" if none of these numbers is assigned to one.
    """
    grouped = _grouped(calls, spans, "prefix", prefix=_prefix())
    for group in grouped.annotate(highest=Max("to_number"), lowest=Min("to_number")):
        assigned = filter(None, map(numbers.country, (group["highest"], group["lowest"])))
        yield (group["prefix"], next(assigned, "")), _read(group)


def by_service(calls: QuerySet[CallRequest], spans: Spans) -> Groups:
    """The key is the alias of the service."""
    for group in _grouped(calls, spans, "service"):
        yield (group["service"],), _read(group)


def by_disposition(calls: QuerySet[CallRequest], spans: Spans) -> Groups:
    """The key is the disposition of the wrap-up, "" without one. Wrap-ups change later, so they are
    not among the stored totals: this reads all calls of the spans, and their wrap-ups by key.
    """
    for group in _grouped(calls, spans, "wrap_up__disposition"):
        yield (group["wrap_up__disposition"] or "",), _read(group)


BY: dict[str, Counting] = {  # the totals that are stored
    "outcome": by_outcome,
    "user": by_user,
    "prefix": by_prefix,
    "service": by_service,
}


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


def _grouped(calls: QuerySet[CallRequest], spans: Spans, *columns: str, **expressions: Any) -> Any:
    """The figures, grouped by these columns."""
    ended = ~Q(open=True)
    talked = ended & ANSWERED_B
    dialed = Q(sent_at__isnull=False, a_initiated_at__gte=F("sent_at"))
    requested = ended & ~WITHDRAWN & ~OUR_FAULT
    return (
        calls.filter(within(spans))
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
            talk=Sum("final_talk_time", default=0),
            talks=Count("pk", filter=talked),
            delay=Sum(_between("sent_at", "a_initiated_at"), filter=dialed),
            delays=Count("pk", filter=dialed),
            spend=Sum("cost", default=Value(Decimal(0))),
        )
    )


def _read(group: dict[str, Any]) -> Figures:
    return Figures(
        **{field.name: group[field.name] for field in fields(Figures)}
        | {"talk": timedelta(seconds=int(group["talk"])), "delay": group["delay"] or NOTHING}
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
