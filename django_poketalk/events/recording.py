"""Records an event: updates the row of its call and inserts the event, in as few statements as the
database allows.

PostgreSQL requires one statement, SQLite an UPDATE … RETURNING and an INSERT. All other databases
use the ORM and a row lock. A test checks that all of them produce the same row for any sequence of
events. Each begins with an UPDATE, because a transaction on SQLite that reads before it writes
fails if another connection writes in between.

Anybody who learns an EventURL can send events. So figures count only as far as they can be true
(`MARGIN`, `COST_FACTOR`), events count only for a time after the end (`GRACE`), and a repeated
report updates its row in the log (`SLOT`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connections, router, transaction
from django.db.models import F

from ..models import GRACE, STAGES, CallEvent, CallRequest, Placement
from ..protocol.codes import CallStatus
from ..protocol.eventurl import Event
from .vetoes import Facts

ZERO = Decimal(0)
ANSWERED_SO_FAR = 200  # the logged answer until a veto changes it
LATEST = ("remote_address", "duration", "cost", "answer", "reason")  # of a repeated report
# Seconds. A duration counts up to the time since the request was sent and the maximum duration,
# each plus this: a minute between two events, and a minute for rounding and for clocks.
MARGIN = 120
# A cost counts up to this multiple of the maximum cost, which the first event above it reports.
COST_FACTOR = 2
# Seconds of the reported duration in which events with the same status share a row of the log.
SLOT = 30
# An event proves that the service accepted the call, even if a person resolved it otherwise.
UNCONFIRMED = (Placement.SENDING, Placement.UNKNOWN, Placement.FAILED)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """The row after an event: whether the event changed its status, whether the call has ended, and
    the facts for vetoes, with the figures as they were reported.
    """

    event_pk: int
    status_changed: bool
    is_over: bool
    facts: Facts


def record(pk: int, event: Event, remote_address: str, now: datetime) -> RecordedEvent | None:
    """Record an event of call `pk`, received at `now` (aware). None if there is no such call, or if
    its events no longer count; then nothing is written.
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
    sql = _statement(alias, event.status, alone=not connections[alias].in_atomic_block)
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, _parameters(alias, pk, event, remote_address, now))
        row = cursor.fetchone()
    return row and _recorded(row[:-1], event)


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
        cursor.execute(insert, {**parameters, "slot": row[-1]})
        return _recorded((*cursor.fetchone(), *row), event)


def _parameters(
    alias: str, pk: int, event: Event, remote_address: str, now: datetime
) -> dict[str, Any]:
    ops = connections[alias].ops
    return {
        "pk": pk,
        "now": ops.adapt_datetimefield_value(now),
        "since": ops.adapt_datetimefield_value(now - GRACE[event.status.is_final]),
        "status": int(event.status),
        "duration": event.duration,
        "cost": None if event.cost is None else str(event.cost),
        "remote_address": remote_address,
    }


def _recorded(row: tuple[Any, ...], event: Event) -> RecordedEvent:
    event_pk, status, changed, duration, cost, max_duration, max_cost, requested_at = row[:8]
    veto_reason, _slot = row[8:]
    return RecordedEvent(
        event_pk=event_pk,
        status_changed=bool(changed),
        is_over=CallStatus(status).is_final,
        facts=Facts(
            duration=max(duration, event.duration or 0),
            cost=max(_decimal(cost), event.cost or ZERO),
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
def _statement(alias: str, status: CallStatus, *, alone: bool) -> str:
    """The statement for PostgreSQL. Its last column has no meaning.

    A commit waits for the disk, unless the event only repeats the status of a live call: if the
    database server crashed now, the next event would report the duration and the cost again. That
    applies to the whole transaction, so only if the statement is `alone` in it.
    """
    update, insert = _statements(alias, status)
    last = "NULL"
    if alone and not status.is_final:
        is_repeated = f"c.status = {status.value} AND NOT c.changed"
        last = f"CASE WHEN {is_repeated} THEN set_config('synchronous_commit', 'off', true) END"
    return f"WITH c AS ({update}), e AS ({insert}) SELECT e.id, c.*, {last} FROM c, e"


@cache
def _statements(alias: str, status: CallStatus) -> tuple[str, str]:
    """The UPDATE … RETURNING and the INSERT for events with this status. Parameters are cast, so
    that the database does not have to infer their types.
    """
    connection = connections[alias]
    on_postgresql = connection.vendor == "postgresql"
    quote = connection.ops.quote_name
    grace = int(GRACE[status.is_final].total_seconds())
    call = {f.name: quote(str(f.column)) for f in CallRequest._meta.concrete_fields}
    log = {f.name: quote(str(f.column)) for f in CallEvent._meta.concrete_fields}
    greatest, least = ("GREATEST", "LEAST") if on_postgresql else ("MAX", "MIN")
    now, since = "%(now)s", "%(since)s"
    seconds = "CAST(strftime('%%s', substr({}, 1, 19)) AS integer)"
    if on_postgresql:
        now, since = f"CAST({now} AS timestamptz)", f"CAST({since} AS timestamptz)"
        seconds = "CAST(FLOOR(EXTRACT(EPOCH FROM {})) AS bigint)"
    sent = f"COALESCE({call['sent_at']}, {call['created_at']})"
    elapsed = f"{greatest}({seconds.format(now)} - {seconds.format(sent)}, 0)"
    new_status, duration, cost = (
        "CAST(%(status)s AS smallint)",
        "CAST(%(duration)s AS integer)",
        "CAST(%(cost)s AS numeric)",
    )
    possible = (
        f"{least}(COALESCE({duration}, 0), {least}({elapsed}, {call['max_duration']}) + {MARGIN})"
    )
    at_most = f"COALESCE({COST_FACTOR} * {call['max_cost']}, COALESCE({cost}, 0))"
    lower = "".join(f" OR {call['status']} = {other.value}" for other in status.lower)
    moves = f"({call['status']} IS NULL{lower})"
    unconfirmed = " OR ".join(f"{call['placement']} = '{placement}'" for placement in UNCONFIRMED)
    changes = {
        "status": f"CASE WHEN {moves} THEN {new_status} ELSE {call['status']} END",
        "status_at": f"CASE WHEN {moves} THEN {now} ELSE {call['status_at']} END",
        "duration": f"{greatest}({call['duration']}, {possible})",
        "cost": f"{greatest}({call['cost']}, {least}(COALESCE({cost}, 0), {at_most}))",
        "placement": (
            f"CASE WHEN {unconfirmed} THEN '{Placement.ACCEPTED}' ELSE {call['placement']} END"
        ),
        "last_event_at": now,
        "stale_at": "NULL",
    }
    if status in STAGES:
        changes[STAGES[status]] = f"COALESCE({call[STAGES[status]]}, {now})"
    returned = (
        f"{call['status']} AS status",
        f"({call['status']} = {new_status} AND {call['status_at']} = {now}) AS changed",
        *(call[name] for name in ("duration", "cost", "max_duration", "max_cost")),
        call["hangup_requested_at"],  # IS NOT NULL in RETURNING is wrong on SQLite 3.40
        call["veto_reason"],
        f"{possible} / {SLOT} * {len(CallStatus)} + {new_status} AS slot",
    )
    logged = {
        "call": "CAST(%(pk)s AS bigint)",
        "slot": "c.slot" if on_postgresql else "%(slot)s",
        "times": "1",
        "received_at": now,
        "remote_address": "%(remote_address)s",
        "status": new_status,
        "duration": duration,
        "cost": cost,
        "answer": str(ANSWERED_SO_FAR),
        "reason": "''",
    }
    latest = {log[name]: f"excluded.{log[name]}" for name in LATEST}
    latest[log["times"]] = f"{quote(CallEvent._meta.db_table)}.{log['times']} + 1"
    # Names come from the models and values are parameters: no part of a request is in the SQL text.
    update = (
        f"UPDATE {quote(CallRequest._meta.db_table)}"
        f" SET {', '.join(f'{call[name]} = {value}' for name, value in changes.items())}"
        f" WHERE {call['id']} = CAST(%(pk)s AS bigint)"
        f" AND COALESCE({call['ended_at']}, {now}) > {since}"
        f" AND {elapsed} - {grace} < {call['max_duration']}"
        f" RETURNING {', '.join(returned)}"
    )
    insert = (
        f"INSERT INTO {quote(CallEvent._meta.db_table)} ({', '.join(log[name] for name in logged)})"
        f" SELECT {', '.join(logged.values())}{' FROM c' if on_postgresql else ''} WHERE TRUE"
        f" ON CONFLICT ({log['call']}, {log['slot']}) DO UPDATE"
        f" SET {', '.join(f'{name} = {value}' for name, value in latest.items())}"
        f" RETURNING {log['id']}"
    )
    return update, insert


def under_lock(
    alias: str, pk: int, event: Event, remote_address: str, now: datetime
) -> RecordedEvent | None:
    """For any database: lock the row with an UPDATE, merge the event in Python, write the row."""
    calls = CallRequest.objects.using(alias).filter(pk=pk)
    with transaction.atomic(using=alias):
        if not calls.update(last_event_at=F("last_event_at")):
            return None
        call = calls.get()
        elapsed = max(int(now.timestamp()) - int((call.sent_at or call.created_at).timestamp()), 0)
        grace = GRACE[event.status.is_final]
        if (call.ended_at or now) <= now - grace:
            return None
        if elapsed >= call.max_duration + grace.total_seconds():
            return None
        before = call.status
        merged = event.status.merge(None if before is None else CallStatus(before))
        duration, cost = event.duration or 0, event.cost or ZERO
        possible = min(duration, min(elapsed, call.max_duration) + MARGIN)
        at_most = cost if call.max_cost is None else COST_FACTOR * call.max_cost
        changes: dict[str, Any] = {
            "status": merged,
            "duration": max(call.duration, possible),
            "cost": max(call.cost, min(cost, at_most)),
            "last_event_at": now,
            "stale_at": None,
        }
        if merged != before:
            changes["status_at"] = now
        stage = STAGES.get(event.status)
        if stage and getattr(call, stage) is None:
            changes[stage] = now
        if call.placement in UNCONFIRMED:
            changes["placement"] = Placement.ACCEPTED
        calls.update(**changes)
        event_pk = _log(
            alias,
            {"call_id": pk, "slot": possible // SLOT * len(CallStatus) + event.status},
            {
                "received_at": now,
                "remote_address": remote_address,
                "status": event.status,
                "duration": event.duration,
                "cost": event.cost,
                "answer": ANSWERED_SO_FAR,
                "reason": "",
            },
        )
    return RecordedEvent(
        event_pk=event_pk,
        status_changed=merged != before,
        is_over=merged.is_final,
        facts=Facts(
            max(changes["duration"], duration),
            max(changes["cost"], cost),
            call.max_duration,
            call.max_cost,
            call.hangup_requested_at is not None,
            call.veto_reason,
        ),
    )


def _log(alias: str, row: dict[str, Any], report: dict[str, Any]) -> int:
    """Update the row of the log, or insert it. The lock on the call keeps others from doing so."""
    log = CallEvent.objects.using(alias)
    latest = {name: report[name] for name in LATEST}
    if log.filter(**row).update(times=F("times") + 1, **latest):
        return log.values_list("pk", flat=True).get(**row)
    return log.create(**row, **report).pk
