"""Calls that a switch has left behind: killed, frozen or cut off from the database past its lease.

They are ended: charged to the last proof of life, and their final event is sent. Nobody is rung
again, since nobody knows who was.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event

from .. import rating
from ..models import Call, Leg
from ..rating import FREE
from . import store
from .call import closing_status, whole_seconds
from .gateways.base import CallKey
from .messages import Cause, Finish, Side
from .store import Change, LegRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A call that was ended here, and the events that its customer has still to get."""

    key: CallKey
    eventurl: str
    events: tuple[Event, ...]
    sequence: int  # of the first of these events


def recover(switch: str, limit: int) -> list[Orphan]:
    """Take over and end up to `limit` abandoned calls; those that have events to be sent."""
    orphans = []
    for call in Call.objects.abandoned(timezone.now()).order_by("lease_until")[:limit]:
        key = store.take_over(switch, call)
        if key is None:
            continue
        try:
            orphan = _end(key, call)
        except store.LostCall:
            continue
        except Exception:
            logger.exception("Call %s could not be ended; it is tried again later.", call.pk)
            continue
        if orphan is not None:
            orphans.append(orphan)
    return orphans


def _end(key: CallKey, call: Call) -> Orphan | None:
    events = _ended_before(call) if call.settled_at else _end_now(key, call)
    if not events or not call.eventurl:
        store.save(Change(key, done=True))
        return None
    last = call.deliveries.aggregate(last=Max("sequence"))["last"]
    return Orphan(key, call.eventurl, events, (last or 0) + 1)


def _ended_before(call: Call) -> tuple[Event, ...]:
    """The final event of a call that its switch had charged, unless that was sent as well."""
    status = CallStatus(call.status or CallStatus.UNKNOWN)
    if call.deliveries.filter(status=status).exists():
        return ()
    return (Event(status, call.custom, call.duration, call.debit),)


def _end_now(key: CallKey, call: Call) -> tuple[Event, ...]:
    legs = list(call.legs.all())
    proof = call.seen_at or call.created_at
    seconds = billed_seconds(call, legs, proof)
    rows = tuple(_leg_row(leg, seconds.get(Side(leg.side)), proof) for leg in legs)
    costs = {side: sum((row.cost for row in rows if row.side is side), FREE) for side in Side}
    status = closing_status(None if call.status is None else CallStatus(call.status))
    duration = seconds.get(Side.A, 0)
    finish = Finish(status, Cause.SWITCH_LOST, duration, costs[Side.A], costs[Side.B])
    debit = costs[Side.A] + costs[Side.B]
    store.save(
        Change(
            key,
            status=status,
            duration=duration,
            debit=debit,
            legs=rows,
            finish=finish,
            ended_at=max(proof, *(row.ended_at or proof for row in rows)) if rows else proof,
        )
    )
    logger.warning("Call %s was left by switch %s; ended as %d.", key.pk, call.switch, status)
    final = Event(status, call.custom, duration, debit)
    if call.status in (None, CallStatus.A_INITIATED) and not call.deliveries.exists():
        return (Event(CallStatus.A_INITIATED, call.custom, 0, FREE), final)  # 1 is always first
    return (final,)


def billed_seconds(call: Call, legs: list[Leg], proof: datetime) -> dict[Side, int]:
    """How long each answered leg is known to have lasted at the last proof of life.

    Never less than what was stored, and so perhaps told, nor more than what the hold pays.
    """
    answered = {Side(leg.side): leg for leg in legs if leg.answered_at is not None}
    leg_a, leg_b = answered.get(Side.A), answered.get(Side.B)
    if leg_a is None or leg_a.answered_at is None:
        return {}
    lived = whole_seconds((proof - leg_a.answered_at).total_seconds())
    # A leg B that has not answered is put out of reach: it is not paid for.
    offset = leg_a.duration - leg_b.duration if leg_b else call.max_duration + 1
    paid = rating.maximum_duration(
        leg_a.tariff, (leg_b or leg_a).tariff, call.held, call.max_duration, offset
    )
    seconds = max(leg_a.duration, min(lived, paid))
    if leg_b is None:
        return {Side.A: seconds}
    return {Side.A: seconds, Side.B: max(leg_b.duration, seconds - offset)}


def _leg_row(leg: Leg, seconds: int | None, proof: datetime) -> LegRow:
    if leg.answered_at is None:
        seconds = None
    over = leg.ended_at is not None
    return LegRow(
        side=Side(leg.side),
        attempt=leg.attempt,
        gateway=leg.gateway_id,
        number=leg.number,
        tariff=leg.tariff,
        initiated_at=leg.initiated_at,
        ringing_at=leg.ringing_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at if over else max(proof, leg.answered_at or leg.initiated_at),
        cause=leg.hangup_cause if over else Cause.SWITCH_LOST,
        duration=seconds or 0,
        cost=FREE if seconds is None else rating.cost(leg.tariff, seconds),
    )
