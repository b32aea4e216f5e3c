"""The hot statements of the switch: the changes of many calls, written together.

`save(changes)` leaves the same rows as `store.save(change)` for each. It does so in one transaction
and few statements (`hotrows`).
All or nothing: when any of the changes cannot be written, none is, and the caller writes each by
itself with `store.save`, so that a bad one hurts no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from .. import hotrows
from ..databasetime import now_sql
from ..models import Call, EventDelivery, Leg
from . import store
from .store import Change, LostCall

SEEN: dict[str, Any] = {}
ENDING: dict[str, Any] = {"state": Call.State.ENDING}
ENDED: dict[str, Any] = {"state": Call.State.ENDED, "lease_until": None}


def save(changes: Sequence[Change]) -> list[Decimal | None]:
    """Write the changes of different calls, in one transaction; for each the hold in force, when
    more was wanted. `LostCall` when any of the calls is not ours any more: then nothing is written.

    Changes that move money are to be of one account, whose row stays locked to the end.
    """
    if not changes:
        return []
    ordered = sorted(changes, key=lambda change: change.key.pk)
    with transaction.atomic():
        if len(ordered) > 1:
            _lock(ordered)
        _write_calls(ordered)
        _write_legs(ordered)
        _write_deliveries(ordered)
        granted = store.book(ordered)
        _close(ordered)
    return [granted.get(change.key) for change in changes]


def _lock(changes: Sequence[Change]) -> None:
    """Lock the rows in the order of their keys, as all do that lock several: the statements that
    follow have an order of their own.
    """
    if connection.features.has_select_for_update:
        no_key = connection.features.has_select_for_no_key_update
        rows = Call.objects.filter(pk__in=[change.key.pk for change in changes]).order_by("pk")
        list(rows.select_for_update(no_key=no_key).values_list("pk"))


def _write_calls(changes: Sequence[Change]) -> None:
    """A statement for each kind of change, and all rows must be ours."""
    _update_calls([(change, SEEN) for change in changes if _only_seen(change)])
    _update_calls([(change, ENDED) for change in changes if _only_done(change)])
    _update_calls([(change, store.progress(change)) for change in changes if _progresses(change)])
    _update_calls([(change, _finish(change)) for change in changes if change.finish is not None])


def _only_seen(change: Change) -> bool:
    return change.status is None and change.finish is None and not change.done


def _only_done(change: Change) -> bool:
    """Charged before, so that it holds nothing and may be closed in the same breath."""
    return change.status is None and change.finish is None and change.done


def _progresses(change: Change) -> bool:
    return change.status is not None and change.finish is None


def _finish(change: Change) -> dict[str, Any]:
    cause = "" if change.finish is None else change.finish.cause
    told = {} if change.status is None else store.progress(change)
    return {**told, "hangup_cause": cause, "ended_at": change.ended_at}


def _close(changes: Sequence[Change]) -> None:
    """Only now, since a call that is over holds no money."""
    done = [change for change in changes if change.done and not _only_done(change)]
    over = [change for change in changes if change.finish is not None and not change.done]
    _update_calls([(change, ENDED) for change in done])
    _update_calls([(change, ENDING) for change in over])


def _update_calls(rows: Sequence[tuple[Change, Mapping[str, Any]]]) -> None:
    states = ", ".join(f"'{state.value}'" for state in store.OWNED)
    for names in {tuple(values) for _change, values in rows}:
        alike = [(change, values) for change, values in rows if tuple(values) == names]
        written = hotrows.update(
            Call,
            ("id", "fence"),
            [(values, (change.key.pk, change.key.fence)) for change, values in alike],
            also_set=f"{hotrows.quoted(Call, 'seen_at')} = {now_sql()}",
            only=f"{hotrows.quoted(Call, 'state')} IN ({states})",
        )
        if written != len(alike):
            raise LostCall(f"Of {len(alike)} calls, {written} are still ours.")


def _write_legs(changes: Sequence[Change]) -> None:
    # Rows may be there already, after a commit whose answer was lost.
    hotrows.insert(
        Leg,
        [store.leg_row(change.key.pk, leg) for change in changes for leg in change.new_legs],
        unless_there=True,
    )
    hotrows.update(
        Leg,
        ("call", "side", "attempt"),
        [
            (store.changing(leg), (change.key.pk, leg.side, leg.attempt))
            for change in changes
            for leg in change.legs
        ],
    )


def _write_deliveries(changes: Sequence[Change]) -> None:
    hotrows.insert(
        EventDelivery,
        [
            store.delivery_row(change.key.pk, delivery)
            for change in changes
            for delivery in change.deliveries
        ],
        unless_there=True,
    )
