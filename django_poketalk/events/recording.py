"""Records an event: updates the row of its call and inserts the event, in as few statements as the
database allows.

PostgreSQL requires one statement, SQLite an UPDATE … RETURNING and an INSERT. All other databases
use the ORM and a row lock. A test checks that all of them produce the same row for any sequence of
events. Each begins with an UPDATE, because a transaction on SQLite that reads before it writes
fails if another connection writes in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connections, router, transaction

from ..models import STAGES, CallEvent, CallRequest, Placement
from ..protocol.codes import CallStatus
from ..protocol.eventurl import Event
from .vetoes import Facts

ZERO = Decimal(0)
ANSWERED_SO_FAR = 200  # the logged answer until a veto changes it
# An event proves that the service accepted the call, even if a person resolved it otherwise.
UNCONFIRMED = (Placement.SENDING, Placement.UNKNOWN, Placement.FAILED)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """The row after an event: whether the event changed its status, whether the call has ended, and
    the facts for vetoes.
    """

    event_pk: int
    status_changed: bool
    is_over: bool
    facts: Facts


def record(pk: int, event: Event, remote_address: str, now: datetime) -> RecordedEvent | None:
    """Record an event of call `pk`, received at `now` (aware). None if there is no such call; then
    nothing is written.
    """
    alias = router.db_for_write(CallRequest)
    vendor = connections[alias].vendor
    if vendor == "postgresql":
        return _in_one_statement(alias, pk, event, remote_address, now)
    if vendor == "sqlite":
        return _in_two_statements(alias, pk, event, remote_address, now)
    return under_lock(alias, pk, event, remote_address, now)


def _in_one_statement(
    alias: str, pk: int, event: Event, remote_address: str, now: datetime
) -> RecordedEvent | None:
    update, insert = _statements(alias, event.status)
    sql = f"WITH c AS ({update}), e AS ({insert} FROM c RETURNING id) SELECT e.id, c.* FROM c, e"
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, _parameters(alias, pk, event, remote_address, now))
        row = cursor.fetchone()
    return row and _recorded(row)


def _in_two_statements(
    alias: str, pk: int, event: Event, remote_address: str, now: datetime
) -> RecordedEvent | None:
    update, insert = _statements(alias, event.status)
    parameters = _parameters(alias, pk, event, remote_address, now)
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(update, parameters)
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute(insert, parameters)
        return _recorded((cursor.lastrowid, *row))


def _parameters(
    alias: str, pk: int, event: Event, remote_address: str, now: datetime
) -> dict[str, Any]:
    ops = connections[alias].ops
    return {
        "pk": pk,
        "now": ops.adapt_datetimefield_value(now),
        "status": int(event.status),
        "duration": event.duration,
        "cost": None if event.cost is None else str(event.cost),
        "remote_address": remote_address,
    }


def _recorded(row: tuple[Any, ...]) -> RecordedEvent:
    event_pk, status, changed, duration, cost, max_duration, max_cost, requested_at, veto_reason = (
        row
    )
    return RecordedEvent(
        event_pk=event_pk,
        status_changed=bool(changed),
        is_over=CallStatus(status).is_final,
        facts=Facts(
            duration=duration,
            cost=_decimal(cost),
            max_duration=max_duration,
            max_cost=_decimal(max_cost),
            hangup_requested=requested_at is not None,
            veto_reason=veto_reason,
        ),
    )


def _decimal(value: Any) -> Any:
    """SQLite returns decimals as integers and floats. Their shortest text is the stored decimal."""
    return value if value is None or isinstance(value, Decimal) else Decimal(str(value))


@cache
def _statements(alias: str, status: CallStatus) -> tuple[str, str]:
    """The UPDATE … RETURNING and the INSERT for events with this status. Parameters are cast, so
    that the database does not have to infer their types.
    """
    connection = connections[alias]
    on_postgresql = connection.vendor == "postgresql"
    quote = connection.ops.quote_name
    call = {f.name: quote(str(f.column)) for f in CallRequest._meta.concrete_fields}
    log = {f.name: quote(str(f.column)) for f in CallEvent._meta.concrete_fields}
    greatest = "GREATEST" if on_postgresql else "MAX"
    now = "CAST(%(now)s AS timestamptz)" if on_postgresql else "%(now)s"
    new_status, duration, cost = (
        "CAST(%(status)s AS smallint)",
        "CAST(%(duration)s AS integer)",
        "CAST(%(cost)s AS numeric)",
    )
    lower = "".join(f" OR {call['status']} = {other.value}" for other in status.lower)
    moves = f"({call['status']} IS NULL{lower})"
    unconfirmed = " OR ".join(f"{call['placement']} = '{placement}'" for placement in UNCONFIRMED)
    changes = {
        "status": f"CASE WHEN {moves} THEN {new_status} ELSE {call['status']} END",
        "status_at": f"CASE WHEN {moves} THEN {now} ELSE {call['status_at']} END",
        "duration": f"{greatest}({call['duration']}, COALESCE({duration}, 0))",
        "cost": f"{greatest}({call['cost']}, COALESCE({cost}, 0))",
        "placement": (
            f"CASE WHEN {unconfirmed} THEN '{Placement.ACCEPTED}' ELSE {call['placement']} END"
        ),
        "last_event_at": now,
        "stale_at": "NULL",
    }
    if status in STAGES:
        changes[STAGES[status]] = f"COALESCE({call[STAGES[status]]}, {now})"
    returned = (
        call["status"],
        f"({call['status']} = {new_status} AND {call['status_at']} = {now})",
        *(call[name] for name in ("duration", "cost", "max_duration", "max_cost")),
        call["hangup_requested_at"],  # IS NOT NULL in RETURNING is wrong on SQLite 3.40
        call["veto_reason"],
    )
    logged = {
        "call": "CAST(%(pk)s AS bigint)",
        "received_at": now,
        "remote_address": "%(remote_address)s",
        "status": new_status,
        "duration": duration,
        "cost": cost,
        "answer": str(ANSWERED_SO_FAR),
        "reason": "''",
    }
    # Names come from the models and values are parameters: no part of a request is in the SQL text.
    update = (
        f"UPDATE {quote(CallRequest._meta.db_table)}"
        f" SET {', '.join(f'{call[name]} = {value}' for name, value in changes.items())}"
        f" WHERE {call['id']} = CAST(%(pk)s AS bigint) RETURNING {', '.join(returned)}"
    )
    insert = (
        f"INSERT INTO {quote(CallEvent._meta.db_table)} ({', '.join(log[name] for name in logged)})"
        f" SELECT {', '.join(logged.values())}"
    )
    return update, insert


def under_lock(
    alias: str, pk: int, event: Event, remote_address: str, now: datetime
) -> RecordedEvent | None:
    """For any database: lock the row with an UPDATE, merge the event in Python, write the row."""
    calls = CallRequest.objects.using(alias).filter(pk=pk)
    with transaction.atomic(using=alias):
        if not calls.update(last_event_at=now, stale_at=None):
            return None
        call = calls.get()
        before = call.status
        merged = event.status.merge(None if before is None else CallStatus(before))
        changes: dict[str, Any] = {
            "status": merged,
            "duration": max(call.duration, event.duration or 0),
            "cost": max(call.cost, event.cost or ZERO),
        }
        if merged != before:
            changes["status_at"] = now
        stage = STAGES.get(event.status)
        if stage and getattr(call, stage) is None:
            changes[stage] = now
        if call.placement in UNCONFIRMED:
            changes["placement"] = Placement.ACCEPTED
        calls.update(**changes)
        logged = CallEvent.objects.using(alias).create(
            call_id=pk,
            received_at=now,
            remote_address=remote_address,
            status=event.status,
            duration=event.duration,
            cost=event.cost,
            answer=ANSWERED_SO_FAR,
        )
    return RecordedEvent(
        event_pk=logged.pk,
        status_changed=merged != before,
        is_over=merged.is_final,
        facts=Facts(
            changes["duration"],
            changes["cost"],
            call.max_duration,
            call.max_cost,
            call.hangup_requested_at is not None,
            call.veto_reason,
        ),
    )
