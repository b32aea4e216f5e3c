"""Changes of a call to be stored. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.billing import rating
from django_poketalk.server.billing.rating import FREE, Tariff

from ..delivery.sender import Delivery
from ..gateways.base import CallKey
from ..machine.facts_and_commands import Finish, Side


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
    ended_at: datetime | None = None
    done: bool = False  # nothing is left to do for the call

    @property
    def moves_money(self) -> bool:
        """Whether writing this locks the account."""
        return self.requested_hold is not None or self.finish is not None
