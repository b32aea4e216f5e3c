"""Ends abandoned calls, whose switch was killed, frozen or disconnected from the database past its
lease: charges them up to the last sign of life (`seen_at`) and returns their final events.
Nobody is rung again, since nobody knows which phones have been dialed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing import rating
from django_poketalk.server.billing.rating import FREE
from django_poketalk.server.models import Call, Leg, LegABilling
from django_poketalk.shared.logs import about_call, get_logger

from ..calls import store
from ..calls.changes import Change, LegRow
from ..database_threads import TEMPORARY
from ..gateways.base import CallKey
from ..machine.call import closing_status, whole_seconds
from ..machine.facts_and_commands import Cause, Finish, Route, Side
from ..ownership import catalog, claims

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A recovered call: its unsent events, and the dialogs of legs that may still be up."""

    key: CallKey
    account: int
    eventurl: str
    events: tuple[Event, ...]
    sequence: int  # of the first event
    dialogs: tuple[tuple[Route, str], ...] = ()


def recover(switch: str, limit: int) -> list[Orphan]:
    """Take over and end up to `limit` abandoned calls; those that need events or hang-ups."""
    orphans: list[Orphan] = []
    if not claims.ANY_ABANDONED.rows():
        return orphans
    for call in claims.abandoned().order_by("lease_until")[:limit]:
        with about_call(call.pk, "recover"):
            orphan = _recover(switch, call)
        if orphan is not None:
            orphans.append(orphan)
    return orphans


def _recover(switch: str, call: Call) -> Orphan | None:
    try:
        key = claims.take_over(switch, call)
        if key is None:
            return None
        logger.warning("Recovering call %s from switch %s.", call.pk, call.switch)
        call.refresh_from_db()  # its owner may have written until the takeover
        return _end(key, call)
    except store.LostCall:
        return None
    except TEMPORARY as error:  # a traceback adds nothing
        logger.error("Call %s could not be ended, trying again later: %s", call.pk, error)
    except Exception:
        logger.exception("Call %s could not be ended, trying again later.", call.pk)
    return None


def _end(key: CallKey, call: Call) -> Orphan | None:
    dialogs = tuple(
        (catalog.route(leg.gateway), leg.dialog)
        for leg in call.legs.exclude(dialog="").select_related("gateway")
        if leg.gateway is not None
    )
    events = _final_event(call) if call.charged_at else _end_now(key, call)
    if not events or not call.eventurl:
        store.save([Change(key, done=True)])
        return Orphan(key, 0, "", (), 0, dialogs) if dialogs else None
    last = call.deliveries.aggregate(last=Max("sequence"))["last"]
    return Orphan(key, call.account_id, call.eventurl, events, (last or 0) + 1, dialogs)


def _final_event(call: Call) -> tuple[Event, ...]:
    """The final event of a call that its switch had charged, unless it was sent."""
    status = CallStatus(call.status or CallStatus.UNKNOWN)
    if call.deliveries.filter(status=status).exists():
        return ()
    return (Event(status, call.custom, call.duration, call.cost),)


def _end_now(key: CallKey, call: Call) -> tuple[Event, ...]:
    legs = list(call.legs.all())
    last_seen_at = call.seen_at or call.created_at
    seconds = known_seconds(call, legs, last_seen_at)
    charged: dict[Side, int | None] = {**seconds}
    if call.leg_a_billed == LegABilling.CONNECTED:
        charged[Side.A] = seconds.get(Side.B)
    rows = tuple(
        LegRow.of_lost(leg, seconds.get(Side(leg.side)), charged.get(Side(leg.side)), last_seen_at)
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
        ended_at=max([last_seen_at, *(row.ended_at or last_seen_at for row in rows)]),
    )
    store.save([change])
    logger.warning("Call %s ended with status %d after %d s.", key.pk, status, duration)
    final = Event(status, call.custom, duration, cost)
    if call.status in (None, CallStatus.A_INITIATED) and not call.deliveries.exists():
        first = Event(CallStatus.A_INITIATED, call.custom, 0, FREE)  # every call starts with it
        return (first, final)
    return (final,)


def known_seconds(call: Call, legs: list[Leg], last_seen_at: datetime) -> dict[Side, int]:
    """How long each answered leg is known to have lasted at the last sign of life.

    The call's machine would have computed the same: at least the stored duration (which may have
    been sent in an event), and at most the duration that the hold pays for.
    """
    answered = {
        Side(leg.side): (leg, leg.answered_at) for leg in legs if leg.answered_at is not None
    }
    if Side.A not in answered:
        return {}
    leg_a, began = answered[Side.A]
    leg_b, connected = answered.get(Side.B, (leg_a, None))
    offset = None if connected is None else whole_seconds((connected - began).total_seconds())
    paid = rating.maximum_duration(
        leg_a.tariff,
        leg_b.tariff,
        call.held,
        call.duration_cap or call.max_duration,
        offset,
        a_free_until_connected=call.leg_a_billed == LegABilling.CONNECTED,
    )
    return {
        side: max(
            leg.duration,
            min(
                whole_seconds((last_seen_at - since).total_seconds()),
                paid - whole_seconds((since - began).total_seconds()),
            ),
        )
        for side, (leg, since) in answered.items()
    }
