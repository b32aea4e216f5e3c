"""Changes of a call to be stored: plain values, and how they follow from a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.billing import rating
from django_poketalk.server.billing.rating import FREE, Tariff
from django_poketalk.server.models import Leg

from ..delivery.sender import Delivery
from ..gateways.base import CallKey
from ..machine.call import CallMachine
from ..machine.facts_and_commands import Cause, Finish, Side
from ..machine.hunt import Attempt
from ..ownership.plan import ClaimedCall


@dataclass(frozen=True, slots=True)
class LegRow:
    """An attempt to ring a leg, to be stored."""

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
    buy_tariff: Tariff | None = None
    destination: str = ""  # of a new leg

    @classmethod
    def of_attempt(
        cls, attempt: Attempt, machine: CallMachine, claimed: ClaimedCall, zero: datetime
    ) -> LegRow:
        """An attempt of a call that this switch owns. `zero` is the time of the machine's 0."""
        answered = attempt.answered is not None
        return cls(
            side=attempt.side,
            attempt=attempt.number,
            gateway=attempt.route.gateway,
            number=claimed.number(attempt.side),
            tariff=claimed.plan.tariff(attempt.side),
            initiated_at=zero + timedelta(seconds=attempt.initiated),
            ringing_at=time_of_day(attempt.ringing, zero),
            answered_at=time_of_day(attempt.answered, zero),
            ended_at=time_of_day(attempt.ended, zero),
            cause=attempt.cause or "",
            sip_status=attempt.sip_status,
            q850=attempt.q850,
            dialog="" if attempt.ended is not None else attempt.dialog,
            duration=(machine.seconds(attempt.side) or 0) if answered else 0,
            cost=machine.leg_cost(attempt.side) if answered else FREE,
            buy_tariff=claimed.buy_tariffs.get((attempt.side, attempt.route.gateway)),
            destination=claimed.destinations.get(attempt.side, ""),
        )

    @classmethod
    def of_lost(
        cls, leg: Leg, seconds: int | None, paid: int | None, last_seen_at: datetime
    ) -> LegRow:
        """A stored leg of a recovered call. If it was answered, it lasted `seconds`, and `paid`
        seconds are charged.
        """
        if leg.answered_at is None:
            seconds = paid = None
        return cls(
            side=Side(leg.side),
            attempt=leg.attempt,
            gateway=leg.gateway_id,
            number=leg.number,
            tariff=leg.tariff,
            initiated_at=leg.initiated_at,
            ringing_at=leg.ringing_at,
            answered_at=leg.answered_at,
            ended_at=max(last_seen_at, leg.answered_at or leg.initiated_at),
            cause=Cause.SWITCH_LOST,
            duration=seconds or 0,
            cost=FREE if paid is None else rating.cost(leg.tariff, paid),
            buy_tariff=leg.buy_tariff,
        )

    @property
    def buy_cost(self) -> Decimal | None:
        """The gateway's charge for the leg, from its answer; None without a buy rate."""
        if self.buy_tariff is None:
            return None
        return FREE if self.answered_at is None else rating.cost(self.buy_tariff, self.duration)


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of a call since its last write."""

    key: CallKey
    account: int = 0
    status: CallStatus | None = None
    duration: int = 0
    max_duration: int = 0  # 0: unchanged
    cost: Decimal = FREE
    new_legs: tuple[LegRow, ...] = ()
    legs: tuple[LegRow, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    requested_hold: Decimal | None = None
    finish: Finish | None = None
    frees_channels: bool = True  # whether the call may have channels, which `finish` frees
    ended_at: datetime | None = None
    done: bool = False  # nothing is left to do for the call

    @property
    def final_event_due_at(self) -> datetime | None:
        """When the final event is sent again; None if it was answered, or not sent."""
        moments = [delivery.repeated_at for delivery in self.deliveries]
        return next((moment for moment in moments if moment is not None), None)

    @property
    def moves_money(self) -> bool:
        """Whether writing this locks the account."""
        return self.requested_hold is not None or self.finish is not None


def time_of_day(moment: float | None, zero: datetime) -> datetime | None:
    """The time of day at `moment` of a machine's clock, whose zero is at `zero`."""
    return None if moment is None else zero + timedelta(seconds=moment)
