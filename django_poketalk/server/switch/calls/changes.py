"""What is new about a call, as it is to be stored. Plain values."""

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
    cost: Decimal = FREE
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
