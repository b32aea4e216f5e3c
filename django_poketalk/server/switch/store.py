"""The switch's rows: claiming calls, keeping them, and writing what becomes of them.

Every function is blocking and safe to run again. Each write of a call names the fence under which
it was claimed; when the row carries another, `LostCall` is raised and nothing is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus

from .. import ledger, routing
from ..conf import settings
from ..models import Call, EventDelivery, Gateway, Leg
from ..rating import FREE, Tariff
from .events import Delivery
from .gateways.base import CallKey
from .messages import Cause, Finish, Plan, Route, Side

logger = logging.getLogger(__name__)

BATCH = 500  # rows named in one statement
UNRATED = Tariff(Decimal(0), Decimal(0), 1, 1)


class LostCall(Exception):
    """Another switch has this call now."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A call that is now ours. `refused`: it is to end at once, and nobody is rung."""

    key: CallKey
    from_number: str
    to_number: str
    eventurl: str
    plan: Plan
    refused: Cause | None = None

    def number(self, side: Side) -> str:
        """The number of a leg (digits)."""
        return self.from_number if side is Side.A else self.to_number

    def tariff(self, side: Side) -> Tariff:
        """The tariff of a leg."""
        return self.plan.tariff_a if side is Side.A else self.plan.tariff_b


@dataclass(frozen=True, slots=True)
class LegRow:
    """One attempt as it is to be stored."""

    side: Side
    attempt: int
    gateway: int | None
    number: str
    tariff: Tariff
    initiated_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    cause: str
    duration: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """What is new about a call since its last change."""

    key: CallKey
    status: CallStatus | None = None
    duration: int = 0
    debit: Decimal = FREE
    new_legs: tuple[LegRow, ...] = ()
    legs: tuple[LegRow, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    wanted_hold: Decimal | None = None
    finish: Finish | None = None
    ended_at: datetime | None = None
    done: bool = False  # nothing is left to do for it


def claim(switch: str, limit: int, kinds: Iterable[str]) -> list[Claimed]:
    """Take up to `limit` queued calls, the oldest first. Calls go out through gateways of `kinds`.

    A compare-and-set for each: of several switches, one gets it.
    """
    waiting = Call.objects.queued().order_by("id").select_related("rate_a", "rate_b")[:limit]
    gateways = _Gateways(kinds)
    claimed = []
    for call in waiting:
        now = timezone.now()
        ours = Call.objects.queued().filter(pk=call.pk, fence=call.fence)
        if ours.update(state=Call.State.ACTIVE, fence=call.fence + 1, **_lease(switch, now)):
            claimed.append(_claimed(call, now, gateways))
    return claimed


def take_over(switch: str, call: Call) -> CallKey | None:
    """Take a call whose switch has let its lease lapse; None when another switch was faster."""
    now = timezone.now()
    lapsed = Call.objects.abandoned(now).filter(pk=call.pk, fence=call.fence)
    if lapsed.update(fence=call.fence + 1, **_keep(switch, now)):
        return CallKey(call.pk, call.fence + 1)
    return None


def renew(switch: str, keys: Iterable[CallKey]) -> set[CallKey]:
    """Prove that this switch lives and keeps these calls; those that are another's by now."""
    lost: set[CallKey] = set()
    remaining = list(keys)
    while remaining:
        batch, remaining = remaining[:BATCH], remaining[BATCH:]
        rows = Call.objects.filter(pk__in=[key.pk for key in batch])
        owned = rows.filter(switch=switch, state__in=[Call.State.ACTIVE, Call.State.ENDING])
        owned.update(**_lease(switch, timezone.now()))
        fences = dict(rows.values_list("pk", "fence"))
        lost |= {key for key in batch if fences.get(key.pk) != key.fence}
    return lost


def hang_ups_asked(switch: str) -> list[CallKey]:
    """Our live calls that somebody wants ended."""
    asked = Call.objects.filter(
        state=Call.State.ACTIVE, switch=switch, hangup_requested_at__isnull=False
    )
    return [CallKey(pk, fence) for pk, fence in asked.values_list("pk", "fence")]


def let_lapse(key: CallKey) -> None:
    """Give the call up, so that it is ended as an abandoned one without further delay."""
    _ours(key).update(lease_until=timezone.now() - timedelta(seconds=1))


def save(change: Change) -> Decimal | None:
    """Write what is new, in one transaction; the hold in force when more was wanted."""
    with transaction.atomic():
        if not _ours(change.key).update(**_columns(change)):
            raise LostCall(f"Call {change.key.pk} is not ours under fence {change.key.fence}.")
        # Rows may be there already, after a commit whose answer was lost.
        Leg.objects.bulk_create(
            [_leg_row(change.key.pk, leg) for leg in change.new_legs], ignore_conflicts=True
        )
        for leg in change.legs:
            Leg.objects.filter(call=change.key.pk, side=leg.side, attempt=leg.attempt).update(
                **_changing(leg)
            )
        EventDelivery.objects.bulk_create(
            [_delivery_row(change.key.pk, delivery) for delivery in change.deliveries],
            ignore_conflicts=True,
        )
        call = Call(pk=change.key.pk, fence=change.key.fence)
        granted = None
        if change.wanted_hold is not None:
            granted = ledger.extend(call, change.wanted_hold)
        if change.finish is not None:
            ledger.settle(call, change.finish.cost_a, change.finish.cost_b)
        if change.done:
            _ours(change.key).update(state=Call.State.ENDED, lease_until=None)
        elif change.finish is not None:
            _ours(change.key).update(state=Call.State.ENDING)
    return granted


def _ours(key: CallKey) -> Any:
    return Call.objects.filter(
        pk=key.pk, fence=key.fence, state__in=[Call.State.ACTIVE, Call.State.ENDING]
    )


def _lease(switch: str, now: datetime) -> dict[str, Any]:
    return {**_keep(switch, now), "seen_at": now}


def _keep(switch: str, now: datetime) -> dict[str, Any]:
    return {"switch": switch, "lease_until": now + timedelta(seconds=settings.lease)}


def _columns(change: Change) -> dict[str, Any]:
    columns: dict[str, Any] = {"seen_at": timezone.now()}
    if change.status is not None:
        columns |= {
            "status": change.status,
            "duration": change.duration,
            "debit": change.debit,
        }
    if change.finish is not None:
        columns |= {"hangup_cause": change.finish.cause, "ended_at": change.ended_at}
    return columns


def _changing(leg: LegRow) -> dict[str, Any]:
    return {
        "ringing_at": leg.ringing_at,
        "answered_at": leg.answered_at,
        "ended_at": leg.ended_at,
        "hangup_cause": leg.cause,
        "duration": leg.duration,
        "cost": leg.cost,
    }


def _leg_row(call: int, leg: LegRow) -> Leg:
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
        **_changing(leg),
    )


def _delivery_row(call: int, delivery: Delivery) -> EventDelivery:
    return EventDelivery(
        call_id=call,
        sequence=delivery.sequence,
        status=delivery.event.status,
        duration=delivery.event.duration or 0,
        debit=delivery.event.debit or FREE,
        sent_at=delivery.sent_at,
        seconds=delivery.seconds,
        answer=delivery.answer,
        error=delivery.error,
    )


class _Gateways:
    """The active gateways of each provider, read once for all calls that are claimed together."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._active = Gateway.objects.filter(is_active=True, kind__in=list(kinds))
        self._of: dict[int, list[Gateway]] = {}

    def routes(self, provider: int, number: str) -> tuple[Route, ...]:
        if provider not in self._of:
            self._of[provider] = list(self._active.filter(provider=provider))
        return tuple(
            Route(gateway.pk, gateway.kind, gateway.ring_timeout)
            for gateway in routing.gateways_for(number, self._of[provider])
        )


def _claimed(call: Call, now: datetime, gateways: _Gateways) -> Claimed:
    plan = Plan(
        webcallid=call.custom,
        tariff_a=call.rate_a.tariff if call.rate_a else UNRATED,
        tariff_b=call.rate_b.tariff if call.rate_b else UNRATED,
        routes_a=gateways.routes(call.provider_id, call.from_number),
        routes_b=gateways.routes(call.provider_id, call.to_number),
        max_duration=call.max_duration,
        hold=call.held,
        hold_slice=settings.hold,
        event_interval=settings.event_interval,
    )
    key = CallKey(call.pk, call.fence + 1)
    refused = _refusal(call, now)
    return Claimed(key, call.from_number, call.to_number, call.eventurl, plan, refused)


def _refusal(call: Call, now: datetime) -> Cause | None:
    if call.hangup_requested_at is not None:
        return Cause.HANG_UP_REQUESTED
    if now - call.created_at > timedelta(seconds=settings.queue_timeout):
        return Cause.QUEUE_TIMEOUT
    if call.rate_a is None or call.rate_b is None:
        return Cause.NO_RATE
    return None
