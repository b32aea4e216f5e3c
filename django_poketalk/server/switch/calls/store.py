"""Writes the changes of many calls together, in a few statements.

Each write checks the fence under which the call was claimed; if the row has another, `LostCall` is
raised and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from django_poketalk.server.billing import ledger
from django_poketalk.server.database import bulk_sql
from django_poketalk.server.database.clock import now_sql
from django_poketalk.server.models import Call, Channel, Leg

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
        granted, money, bookings = _book(ordered)
        calls = _calls(ordered, money)
        written, *_ = bulk_sql.execute(calls, bookings, _legs(ordered), _deliveries(ordered))
        if written != len(calls):
            raise LostCall(f"{len(calls) - written} of {len(calls)} calls are no longer ours.")
        _free_channels(ordered)
    return [granted.get(change.key) for change in changes]


def _calls(
    changes: Sequence[Change], money: Mapping[int, bulk_sql.Values]
) -> list[bulk_sql.Statement]:
    """Update the calls one after the other, because all code locks several calls in the order of
    their primary keys. Updates `seen_at`; every row must still be ours.
    """
    states = ", ".join(f"'{state.value}'" for state in Call.OWNED)
    return bulk_sql.updates(
        Call,
        ("id", "fence"),
        [
            (
                {**_columns(change), **money.get(change.key.pk, {})},
                (change.key.pk, change.key.fence),
            )
            for change in changes
        ],
        also_set=f"{bulk_sql.quoted(Call, 'seen_at')} = {now_sql()}",
        only=f"{bulk_sql.quoted(Call, 'state')} IN ({states})",
    )


def _legs(changes: Sequence[Change]) -> list[bulk_sql.Statement]:
    new = [_new_leg(change.key.pk, leg) for change in changes for leg in change.new_legs]
    changed = [
        (_changing(leg), (change.key.pk, leg.side, leg.attempt))
        for change in changes
        for leg in change.legs
    ]
    return [
        # After a commit whose response was lost, the rows exist.
        *bulk_sql.inserts(new, ignore_conflicts=True),
        *bulk_sql.updates(Leg, ("call", "side", "attempt"), changed),
    ]


def _deliveries(changes: Sequence[Change]) -> list[bulk_sql.Statement]:
    rows = [
        delivery.row(change.key.pk)
        for change in changes
        for delivery in change.deliveries
        if delivery.is_sent
    ]
    return bulk_sql.inserts(rows, ignore_conflicts=True)


def _book(
    changes: Sequence[Change],
) -> tuple[dict[CallKey, Decimal], dict[int, dict[str, Any]], list[bulk_sql.Statement]]:
    """Apply the changes to their account, which is locked. Return the hold in force for each call
    that requested one, the columns of money to write to calls, by primary key, and the statements
    that write the account and its entries.
    """
    moving = [change for change in changes if change.moves_money]
    granted: dict[CallKey, Decimal] = {}
    columns: dict[int, dict[str, Any]] = {}
    bookings: list[bulk_sql.Statement] = []
    if moving:
        batch = ledger.LedgerBatch({change.key.pk: change.key.fence for change in moving})
        for change in moving:
            if change.finish is not None:
                batch.charge(change.key.pk, change.finish.cost_a, change.finish.cost_b)
        for change in moving:  # afterward: what an ended call no longer holds is theirs
            if change.finish is None and change.requested_hold is not None:
                granted[change.key] = batch.extend(change.key.pk, change.requested_hold)
        columns, bookings = batch.close()
    return granted, columns, bookings


def _free_channels(changes: Sequence[Change]) -> None:
    ended = [change.key.pk for change in changes if change.finish and change.frees_channels]
    if ended:
        Channel.objects.filter(call__in=ended).delete()


def _columns(change: Change) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if change.status is not None:
        columns |= {"status": change.status, "duration": change.duration, "cost": change.cost}
        if change.max_duration:
            columns["max_duration"] = change.max_duration
    if change.finish is not None:
        columns |= {"hangup_cause": change.finish.cause, "ended_at": change.ended_at, **ENDING}
    if change.done:
        columns |= {**ENDED, "final_event_due_at": change.final_event_due_at}
    return columns


def _new_leg(call: int, leg: LegRow) -> Leg:
    return Leg(
        call_id=call,
        side=leg.side,
        attempt=leg.attempt,
        gateway_id=leg.gateway,
        number=leg.number,
        destination=leg.destination,
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
