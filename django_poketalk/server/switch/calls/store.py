"""What becomes of calls, as rows: the changes of many calls, written together in few statements.

Each write of a call names the fence under which it was claimed; when the row carries another,
`LostCall` is raised and nothing is written.
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
from ..ownership import buy_rates
from .changes import Change, LegRow

ENDING: dict[str, Any] = {"state": Call.State.ENDING}
ENDED: dict[str, Any] = {"state": Call.State.ENDED, "lease_until": None}


class LostCall(Exception):
    """Another switch has this call now."""


def save(changes: Sequence[Change]) -> list[Decimal | None]:
    """Write the changes of different calls, in one transaction; for each the hold in force, when
    more was wanted. Blocking, and safe to run again.

    All or nothing: when any of them cannot be written, none is, and each may be tried by itself, so
    that a bad one hurts no other. Those that move money are to be of one account, whose row stays
    locked to the end.
    """
    ordered = sorted(changes, key=lambda change: change.key.pk)
    with transaction.atomic():
        if len(ordered) > 1:
            _lock(ordered)
        _write_calls((change, _columns(change)) for change in ordered)
        _write_legs(ordered)
        _write_deliveries(ordered)
        granted = _book(ordered)
        # Only now, since a call that is over holds no money.
        _write_calls(
            (change, ENDED if change.done else ENDING)
            for change in ordered
            if change.finish is not None
        )
    return [granted.get(change.key) for change in changes]


def _lock(changes: Sequence[Change]) -> None:
    """Lock the rows in the order of their keys, as all do that lock several: the statements that
    follow have an order of their own.
    """
    if connection.features.has_select_for_update:
        no_key = connection.features.has_select_for_no_key_update
        rows = Call.objects.filter(pk__in=[change.key.pk for change in changes]).order_by("pk")
        list(rows.select_for_update(no_key=no_key).values_list("pk"))


def _write_calls(rows: Iterable[tuple[Change, bulk_sql.Values]]) -> None:
    """A statement for each set of columns. All rows must be ours, and show that we live."""
    alike: dict[tuple[str, ...], list[tuple[bulk_sql.Values, tuple[int, int]]]] = defaultdict(list)
    for change, values in rows:
        alike[tuple(values)].append((values, (change.key.pk, change.key.fence)))
    states = ", ".join(f"'{state.value}'" for state in Call.OWNED)
    for together in alike.values():
        written = bulk_sql.update(
            Call,
            ("id", "fence"),
            together,
            also_set=f"{bulk_sql.quoted(Call, 'seen_at')} = {now_sql()}",
            only=f"{bulk_sql.quoted(Call, 'state')} IN ({states})",
        )
        if written != len(together):
            raise LostCall(f"Of {len(together)} calls, {written} are still ours.")


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
    """What the changes do to their account; the hold in force of each call that wanted more."""
    moving = [change for change in changes if change.moves_money]
    granted: dict[CallKey, Decimal] = {}
    if moving:
        till = ledger.LedgerBatch({change.key.pk: change.key.fence for change in moving})
        for change in moving:
            if change.wanted_hold is not None:
                granted[change.key] = till.extend(change.key.pk, change.wanted_hold)
            if change.finish is not None:
                till.charge(change.key.pk, change.finish.cost_a, change.finish.cost_b)
        till.close()
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
        columns |= ENDED  # it was charged before, and holds nothing
    return columns


def _new_leg(call: int, leg: LegRow) -> Leg:
    return Leg(
        call_id=call,
        side=leg.side,
        attempt=leg.attempt,
        gateway_id=leg.gateway,
        number=leg.number,
        price_per_minute=leg.tariff.price_per_minute,
        connect_fee=leg.tariff.connect_fee,
        initial_increment=leg.tariff.initial_increment,
        subsequent_increment=leg.tariff.subsequent_increment,
        initiated_at=leg.initiated_at,
        **buy_rates.columns(leg.bought),
        **_changing(leg),
    )


def _changing(leg: LegRow) -> dict[str, Any]:
    """The columns of a leg that change while it lasts."""
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
