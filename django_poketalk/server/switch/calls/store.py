"""Writes the changes of many calls together, in a few statements.

Each write checks the fence under which the call was claimed; if the row has another, `LostCall` is
raised and nothing is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from django_poketalk.server.billing import ledger
from django_poketalk.server.billing.rating import FREE
from django_poketalk.server.database import bulk_sql
from django_poketalk.server.database.clock import now_sql
from django_poketalk.server.models import Call, EventDelivery, Leg

from ..delivery.sender import Delivery
from ..gateways.base import CallKey
from .changes import Change, LegRow

ENDING: dict[str, Any] = {"state": Call.State.ENDING}
ENDED: dict[str, Any] = {"state": Call.State.ENDED, "lease_until": None}


class LostCall(Exception):
    """Another switch owns the call now."""


def save(changes: Sequence[Change]) -> list[Decimal | None]:
    """Write the changes of different calls in one transaction. For each change, return the hold in
    force if it requested one, else None. Blocking and idempotent.

    If any change cannot be written, none is; the caller can then retry them one by one. Changes
    that move money must belong to one account, whose row stays locked until the commit.
    """
    ordered = sorted(changes, key=lambda change: change.key.pk)
    with transaction.atomic():
        if len(ordered) > 1:
            _lock(ordered)
        _write_calls((change, _columns(change)) for change in ordered)
        _write_legs(ordered)
        _write_deliveries(ordered)
        granted = _book(ordered)
        # Last, because an ended call must hold no money.
        _write_calls(
            (change, ENDED if change.done else ENDING)
            for change in ordered
            if change.finish is not None
        )
    return [granted.get(change.key) for change in changes]


def _lock(changes: Sequence[Change]) -> None:
    """Lock the rows in primary key order, like all code that locks several calls. The statements
    that follow may use another order.
    """
    if connection.features.has_select_for_update:
        no_key = connection.features.has_select_for_no_key_update
        rows = Call.objects.filter(pk__in=[change.key.pk for change in changes]).order_by("pk")
        list(rows.select_for_update(no_key=no_key).values_list("pk"))


def _write_calls(rows: Iterable[tuple[Change, bulk_sql.Values]]) -> None:
    """One statement per set of columns. Updates `seen_at`; every row must still be ours."""
    by_columns: dict[tuple[str, ...], list[tuple[bulk_sql.Values, tuple[int, int]]]] = defaultdict(
        list
    )
    for change, values in rows:
        by_columns[tuple(values)].append((values, (change.key.pk, change.key.fence)))
    states = ", ".join(f"'{state.value}'" for state in Call.OWNED)
    for batch in by_columns.values():
        written = bulk_sql.update(
            Call,
            ("id", "fence"),
            batch,
            also_set=f"{bulk_sql.quoted(Call, 'seen_at')} = {now_sql()}",
            only=f"{bulk_sql.quoted(Call, 'state')} IN ({states})",
        )
        if written != len(batch):
            raise LostCall(f"{len(batch) - written} of {len(batch)} calls are no longer ours.")


def _write_legs(changes: Sequence[Change]) -> None:
    # After a commit whose response was lost, the rows exist.
    Leg.objects.bulk_create(
        [_new_leg(change.key.pk, leg) for change in changes for leg in change.new_legs],
        ignore_conflicts=True,
    )
    bulk_sql.update(
        Leg,
        ("call", "side", "attempt"),
        [
            (_changing(leg), (change.key.pk, leg.side, leg.attempt))
            for change in changes
            for leg in change.legs
        ],
    )


def _write_deliveries(changes: Sequence[Change]) -> None:
    EventDelivery.objects.bulk_create(
        [
            _delivery(change.key.pk, delivery)
            for change in changes
            for delivery in change.deliveries
        ],
        ignore_conflicts=True,
    )


def _book(changes: Sequence[Change]) -> dict[CallKey, Decimal]:
    """Apply the changes to their account; the hold in force for each call that requested one."""
    moving = [change for change in changes if change.moves_money]
    granted: dict[CallKey, Decimal] = {}
    if moving:
        batch = ledger.LedgerBatch({change.key.pk: change.key.fence for change in moving})
        for change in moving:
            if change.requested_hold is not None:
                granted[change.key] = batch.extend(change.key.pk, change.requested_hold)
            if change.finish is not None:
                batch.charge(change.key.pk, change.finish.cost_a, change.finish.cost_b)
        batch.close()
    return granted


def _columns(change: Change) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if change.status is not None:
        columns |= {"status": change.status, "duration": change.duration, "cost": change.cost}
        if change.max_duration:
            columns["max_duration"] = change.max_duration
    if change.finish is not None:
        columns |= {"hangup_cause": change.finish.cause, "ended_at": change.ended_at}
    elif change.done:
        columns |= ENDED  # charged before
    return columns


def _new_leg(call: int, leg: LegRow) -> Leg:
    return Leg(
        call_id=call,
        side=leg.side,
        attempt=leg.attempt,
        gateway_id=leg.gateway,
        number=leg.number,
        initiated_at=leg.initiated_at,
        **leg.tariff.columns(),
        **(leg.buy_tariff.columns("buy_") if leg.buy_tariff else {}),
        **_changing(leg),
    )


def _changing(leg: LegRow) -> dict[str, Any]:
    """The columns of a leg that change during the call."""
    return {
        "ringing_at": leg.ringing_at,
        "answered_at": leg.answered_at,
        "ended_at": leg.ended_at,
        "hangup_cause": leg.cause,
        "sip_status": leg.sip_status,
        "q850": leg.q850,
        "dialog": leg.dialog,
        "duration": leg.duration,
        "cost": leg.cost,
        "buy_cost": leg.buy_cost,
    }


def _delivery(call: int, delivery: Delivery) -> EventDelivery:
    return EventDelivery(
        call_id=call,
        sequence=delivery.sequence,
        status=delivery.event.status,
        duration=delivery.event.duration or 0,
        cost=delivery.event.cost or FREE,
        sent_at=delivery.sent_at,
        seconds=delivery.seconds,
        answer=delivery.answer,
        error=delivery.error,
    )
