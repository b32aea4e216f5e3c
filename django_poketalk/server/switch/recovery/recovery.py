"""Calls that a switch has left behind: killed, frozen or cut off from the database past its lease.

They are ended: charged to the last proof of life, and their final event is sent. Nobody is rung
again, since nobody knows who was.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import Max

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing import rating
from django_poketalk.server.billing.rating import FREE
from django_poketalk.server.models import Call, Leg, LegABilling

from ..calls import store
from ..calls.changes import Change, LegRow
from ..gateways.base import CallKey
from ..machine.call import closing_status, whole_seconds
from ..machine.facts_and_commands import Cause, Finish, Route, Side
from ..ownership import claims, plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A call that was ended here: the events that its customer has still to get, and the dialogs of
    phones that are still up.
    """

    key: CallKey
    eventurl: str
    events: tuple[Event, ...]
    sequence: int  # of the first of these events
    dialogs: tuple[tuple[Route, str], ...] = ()


def recover(switch: str, limit: int) -> list[Orphan]:
    """Take over and end up to `limit` abandoned calls; those that have something left to do."""
    orphans = []
    for call in claims.abandoned().order_by("lease_until")[:limit]:
        try:
            key = claims.take_over(switch, call)
            if key is None:
                continue
            logger.warning("Call %s was left by switch %s.", call.pk, call.switch)
            call.refresh_from_db()  # its owner may have written until it was ours
            orphan = _end(key, call)
        except store.LostCall:
            continue
        except (OperationalError, InterfaceError) as error:  # the database is away
            logger.error("Call %s could not be ended; it is tried again later: %s", call.pk, error)
            continue
        except Exception:
            logger.exception("Call %s could not be ended; it is tried again later.", call.pk)
            continue
        if orphan is not None:
            orphans.append(orphan)
    return orphans


def _end(key: CallKey, call: Call) -> Orphan | None:
    dialogs = tuple(
        (plan.route(leg.gateway), leg.dialog)
        for leg in call.legs.exclude(dialog="").select_related("gateway")
        if leg.gateway is not None
    )
    events = _ended_before(call) if call.charged_at else _end_now(key, call)
    if not events or not call.eventurl:
        store.save([Change(key, done=True)])
        return Orphan(key, "", (), 0, dialogs) if dialogs else None
    last = call.deliveries.aggregate(last=Max("sequence"))["last"]
    return Orphan(key, call.eventurl, events, (last or 0) + 1, dialogs)


def _ended_before(call: Call) -> tuple[Event, ...]:
    """The final event of a call that its switch had charged, unless that was sent as well."""
    status = CallStatus(call.status or CallStatus.UNKNOWN)
    if call.deliveries.filter(status=status).exists():
        return ()
    return (Event(status, call.custom, call.duration, call.cost),)


def _end_now(key: CallKey, call: Call) -> tuple[Event, ...]:
    legs = list(call.legs.all())
    proof = call.seen_at or call.created_at
    seconds = known_seconds(call, legs, proof)
    paid: dict[Side, int | None] = {**seconds}
    if call.leg_a_billed == LegABilling.CONNECTED:
        paid[Side.A] = seconds.get(Side.B)
    rows = tuple(
        _leg_row(leg, seconds.get(Side(leg.side)), paid.get(Side(leg.side)), proof)
        for leg in legs
        if leg.ended_at is None
    )
    costs = {side: sum((row.cost for row in rows if row.side is side), FREE) for side in Side}
    status = closing_status(None if call.status is None else CallStatus(call.status))
    duration = seconds.get(Side.A, 0)
    finish = Finish(status, Cause.SWITCH_LOST, duration, costs[Side.A], costs[Side.B])
    cost = costs[Side.A] + costs[Side.B]
    change = Change(
        key,
        status=status,
        duration=duration,
        cost=cost,
        legs=rows,
        finish=finish,
        ended_at=max([proof, *(row.ended_at or proof for row in rows)]),
    )
    store.save([change])
    logger.warning("Call %s is ended as %d after %d s.", key.pk, status, duration)
    final = Event(status, call.custom, duration, cost)
    if call.status in (None, CallStatus.A_INITIATED) and not call.deliveries.exists():
        return (Event(CallStatus.A_INITIATED, call.custom, 0, FREE), final)  # 1 is always first
    return (final,)


def known_seconds(call: Call, legs: list[Leg], proof: datetime) -> dict[Side, int]:
    """How long each answered leg is known to have lasted at the last proof of life.

    What its machine would have said then: never less than what was stored, and so perhaps told, nor
    more than what the hold pays.
    """
    answered = {
        Side(leg.side): (leg, leg.answered_at) for leg in legs if leg.answered_at is not None
    }
    if Side.A not in answered:
        return {}
    leg_a, began = answered[Side.A]
    leg_b, connected = answered.get(Side.B, (leg_a, None))
    # A leg B that has not answered is put out of reach: it is not paid for.
    cap = call.duration_cap or call.max_duration
    offset = cap + 1 if connected is None else whole_seconds((connected - began).total_seconds())
    paid = rating.maximum_duration(
        leg_a.tariff,
        leg_b.tariff,
        call.held,
        cap,
        offset,
        a_free_until_connected=call.leg_a_billed == LegABilling.CONNECTED,
    )
    until = min(proof, began + timedelta(seconds=paid))
    return {
        side: max(leg.duration, whole_seconds((until - since).total_seconds()))
        for side, (leg, since) in answered.items()
    }


def _leg_row(leg: Leg, seconds: int | None, paid: int | None, proof: datetime) -> LegRow:
    if leg.answered_at is None:
        seconds = paid = None
    return LegRow(
        side=Side(leg.side),
        attempt=leg.attempt,
        gateway=leg.gateway_id,
        number=leg.number,
        tariff=leg.tariff,
        initiated_at=leg.initiated_at,
        ringing_at=leg.ringing_at,
        answered_at=leg.answered_at,
        ended_at=max(proof, leg.answered_at or leg.initiated_at),
        cause=Cause.SWITCH_LOST,
        duration=seconds or 0,
        cost=FREE if paid is None else rating.cost(leg.tariff, paid),
        bought=leg.buy_tariff,
    )
