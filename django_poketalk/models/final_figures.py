"""Figures of calls: the talk time, and generated columns with the figures of calls that have ended.

Events update the figures of an open call, so no index contains those: it would keep PostgreSQL from
updating rows in place. The columns here stay 0 until the end.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import (
    BigIntegerField,
    Case,
    DecimalField,
    Expression,
    ExpressionWrapper,
    F,
    Field,
    Func,
    GeneratedField,
    Model,
    PositiveIntegerField,
    Q,
    SmallIntegerField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.utils import timezone

from ..protocol.codes import CallStatus
from .states import IS_OPEN

HAS_ENDED = Q(ended_at__isnull=False) | Q(stale_at__isnull=False)
CONNECTED = (CallStatus.B_ANSWERED.value, CallStatus.AB_DISCONNECTED.value)


def final(kind: Field[Any, Any], value: str | Expression) -> GeneratedField:
    """A stored column of this kind: this column or value if the call has ended, and else 0."""
    ended = Case(When(HAS_ENDED, then=value), default=Value(0, output_field=kind))
    return GeneratedField(expression=ended, output_field=kind, db_persist=True)


class WholeSeconds(Func):
    """A time as whole seconds since a fixed day, in terms allowed in generated columns."""

    output_field = BigIntegerField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        context["template"] = _WHOLE_SECONDS[connection.vendor]
        return super().as_sql(compiler, connection, *args, **context)


_WHOLE_SECONDS = {
    "postgresql": (
        "FLOOR(EXTRACT(EPOCH FROM (%(expressions)s - TIMESTAMPTZ '1970-01-01 00:00:00+00')))"
        "::bigint"
    ),
    "sqlite": (
        "CAST(ROUND((julianday(substr(%(expressions)s, 1, 19)) - 2440587.5) * 86400) AS integer)"
    ),
    "mysql": "TO_SECONDS(%(expressions)s)",
}


def talk_time() -> Case:
    """How long both talked in a call that has ended, in seconds: see `WithTalkTime.talk_time`."""
    seconds = PositiveIntegerField()
    # MariaDB: what subtracting from an unsigned column does depends on the session.
    duration = Cast("duration", BigIntegerField())
    alone = WholeSeconds("b_answered_at") - WholeSeconds("a_answered_at")
    in_order = Q(b_answered_at__gte=F("a_answered_at")) & (
        Q(ended_at=None) | Q(b_answered_at__lte=F("ended_at"))
    )
    nobody = Value(0, output_field=seconds)
    return Case(
        When(
            in_order,
            then=Case(
                When(
                    duration__gt=alone,  # a database may have no negative durations
                    then=ExpressionWrapper(duration - alone, output_field=seconds),
                ),
                default=nobody,
            ),
        ),
        When(Q(b_answered_at__isnull=False) | Q(status__in=CONNECTED), then="duration"),
        default=nobody,
    )


def final_cost() -> GeneratedField:
    """The cost of a call that has ended."""
    return final(DecimalField(max_digits=15, decimal_places=6), "cost")


def final_status() -> GeneratedField:
    """The status of a call that is not open, null if it has none; 0 of one that is open.

    Of all columns of `IS_OPEN`, PostgreSQL knows how many rows have which value, but not how few
    have all of them. This column tells it that, so that it reads open calls by their index.
    """
    kind = SmallIntegerField(null=True)
    known = Case(When(IS_OPEN, then=Value(0, output_field=kind)), default="status")
    return GeneratedField(expression=known, output_field=kind, db_persist=True)


def final_talk_time() -> GeneratedField:
    """The talk time of a call that has ended."""
    return final(PositiveIntegerField(), talk_time())


class WithTalkTime(Model):
    """A call with its talk time. The other figures are columns of the call."""

    if TYPE_CHECKING:
        status: int | None
        duration: int
        a_answered_at: datetime | None
        b_answered_at: datetime | None
        ended_at: datetime | None

        @property
        def is_open(self) -> bool: ...

    class Meta:
        abstract = True

    @property
    def talk_time(self) -> int:
        """How long the caller and the callee have talked, in seconds: what people see as the length
        of a call. `duration` counts from the caller's answer instead, as the service bills it.

        If an event with one of the answers was missed, or arrived after a later one, it is the
        `duration`.
        """
        if self.b_answered_at is None and self.status not in CONNECTED:
            return 0
        if self.b_answered_at is None:
            return self.duration
        if self.is_open:
            return max(0, int((timezone.now() - self.b_answered_at).total_seconds()))
        a, b, end = self.a_answered_at, self.b_answered_at, self.ended_at
        if a is None or b < a or (end is not None and end < b):
            return self.duration
        alone = _whole_seconds(b) - _whole_seconds(a)
        return max(0, self.duration - alone)


def _whole_seconds(at: datetime) -> int:
    return int(at.timestamp() // 1)
