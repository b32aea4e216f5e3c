"""What becomes of a call, as rows.

Every function is blocking and safe to run again. Each write of a call names the fence under which
it was claimed; when the row carries another, `LostCall` is raised and nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from django_poketalk.protocol.codes import CallStatus

from .. import ledger, rating
from ..databasetime import DatabaseNow
from ..models import Call, EventDelivery, Leg
from ..rating import FREE, Tariff
from . import buying
from .events import Delivery
from .gateways.base import CallKey
from .messages import Finish, Side

OWNED = (Call.State.ACTIVE, Call.State.ENDING)


class LostCall(Exception):
    """Another switch has this call now."""


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
    sip_status: int = 0
    q850: int = 0
    dialog: str = ""
    bought: Tariff | None = None

    @property
    def buy_cost(self) -> Decimal | None:
        """What its gateway asks for it, from its answer on; None where it has no buy rate."""
        if self.bought is None:
            return None
        return FREE if self.answered_at is None else rating.cost(self.bought, self.duration)


@dataclass(frozen=True, slots=True)
class Change:
    """What is new about a call since its last change."""

    key: CallKey
    account: int = 0
    status: CallStatus | None = None
    duration: int = 0
    max_duration: int = 0  # 0: as it was
    debit: Decimal = FREE
    new_legs: tuple[LegRow, ...] = ()
    legs: tuple[LegRow, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    wanted_hold: Decimal | None = None
    finish: Finish | None = None
    ended_at: datetime | None = None
    done: bool = False  # nothing is left to do for it

    @property
    def moves_money(self) -> bool:
        """Whether writing it locks the account."""
        return self.wanted_hold is not None or self.finish is not None


def save(change: Change) -> Decimal | None:
    """Write what is new, in one transaction; the hold in force when more was wanted.

    `batches.save` writes the same for many calls at once, and is what a live call goes through.
    """
    with transaction.atomic():
        if not owned(change.key).update(**_columns(change)):
            raise LostCall(f"Call {change.key.pk} is not ours under fence {change.key.fence}.")
        # Rows may be there already, after a commit whose answer was lost.
        Leg.objects.bulk_create(
            [Leg(**leg_row(change.key.pk, leg)) for leg in change.new_legs], ignore_conflicts=True
        )
        for leg in change.legs:
            Leg.objects.filter(call=change.key.pk, side=leg.side, attempt=leg.attempt).update(
                **changing(leg)
            )
        EventDelivery.objects.bulk_create(
            [EventDelivery(**delivery_row(change.key.pk, each)) for each in change.deliveries],
            ignore_conflicts=True,
        )
        granted = book([change]).get(change.key)
        if change.done:
            owned(change.key).update(state=Call.State.ENDED, lease_until=None)
        elif change.finish is not None:
            owned(change.key).update(state=Call.State.ENDING)
    return granted


def book(changes: Sequence[Change]) -> dict[CallKey, Decimal]:
    """What the changes do to their account, within their transaction; the hold in force of each
    call that wanted more. Those that move money are to be of one account.
    """
    moving = [change for change in changes if change.moves_money]
    granted: dict[CallKey, Decimal] = {}
    if moving:
        till = ledger.Till({change.key.pk: change.key.fence for change in moving})
        for change in moving:
            if change.wanted_hold is not None:
                granted[change.key] = till.extend(change.key.pk, change.wanted_hold)
            if change.finish is not None:
                till.settle(change.key.pk, change.finish.cost_a, change.finish.cost_b)
        till.close()
    return granted


def owned(key: CallKey) -> Any:
    """The row of a call, if it is still ours."""
    return Call.objects.filter(pk=key.pk, fence=key.fence, state__in=OWNED)


def _columns(change: Change) -> dict[str, Any]:
    columns: dict[str, Any] = {"seen_at": DatabaseNow()}
    if change.status is not None:
        columns |= progress(change)
    if change.finish is not None:
        columns |= {"hangup_cause": change.finish.cause, "ended_at": change.ended_at}
    return columns


def progress(change: Change) -> dict[str, Any]:
    """The columns of a call that change while it lasts."""
    columns = {"status": change.status, "duration": change.duration, "debit": change.debit}
    if change.max_duration:
        columns["max_duration"] = change.max_duration
    return columns


def changing(leg: LegRow) -> dict[str, Any]:
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


def leg_row(call: int, leg: LegRow) -> dict[str, Any]:
    """The columns of a new leg."""
    return {
        "call_id": call,
        "side": leg.side,
        "attempt": leg.attempt,
        "gateway_id": leg.gateway,
        "number": leg.number,
        "price_per_minute": leg.tariff.price_per_minute,
        "connect_fee": leg.tariff.connect_fee,
        "initial_increment": leg.tariff.initial_increment,
        "subsequent_increment": leg.tariff.subsequent_increment,
        "initiated_at": leg.initiated_at,
        **buying.columns(leg.bought),
        **changing(leg),
    }


def delivery_row(call: int, delivery: Delivery) -> dict[str, Any]:
    """The columns of an event that was sent."""
    return {
        "call_id": call,
        "sequence": delivery.sequence,
        "status": delivery.event.status,
        "duration": delivery.event.duration or 0,
        "debit": delivery.event.debit or FREE,
        "sent_at": delivery.sent_at,
        "seconds": delivery.seconds,
        "answer": delivery.answer,
        "error": delivery.error,
    }
