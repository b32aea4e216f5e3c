"""What a call's machine is told (facts) and what it wants done (commands). Plain values, no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.routing.trunk import Trunk


class Side(enum.StrEnum):
    """The two legs, by the values that `models.Side` stores: A is rung first (`from`), B once A has
    answered (`to`).
    """

    A = "A"
    B = "B"

    @property
    def other(self) -> Side:
        """The leg that this one is called from."""
        return Side.B if self is Side.A else Side.A


class Cause(enum.StrEnum):
    """Why a leg or a call is over."""

    # The phones and the way to them
    NORMAL = "normal"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    UNALLOCATED = "unallocated_number"
    REJECTED = "rejected"
    GATEWAY_DOWN = "gateway_down"
    OTHER_LEG = "other_leg"
    # The rules of the service
    NO_GATEWAY = "no_gateway"
    NO_RATE = "no_rate"
    NO_FUNDS = "no_funds"
    MAX_DURATION = "max_duration"
    QUEUE_TIMEOUT = "queue_timeout"
    # People
    VETOED = "vetoed"
    HANG_UP_REQUESTED = "hang_up_requested"
    # The switch
    SWITCH_STOPPED = "switch_stopped"
    SWITCH_LOST = "switch_lost"
    SWITCH_ERROR = "switch_error"


@dataclass(frozen=True, slots=True)
class Route:
    """One gateway that a leg may be tried through: its primary key, its kind, the seconds that a
    phone may ring, and for real phones its trunk.
    """

    gateway: int
    kind: str
    ring_timeout: int
    trunk: Trunk | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a call's machine knows of the call beforehand. Times are seconds, money is in the
    account's currency.

    `max_duration` is what the call may last with any funds, `granted` what the funds at its
    admission were sure to pay for. Leg A is paid for from its answer on, or, with
    `a_free_until_connected`, from leg B's.
    """

    webcallid: str
    tariff_a: Tariff
    tariff_b: Tariff
    routes_a: tuple[Route, ...]
    routes_b: tuple[Route, ...]
    max_duration: int
    hold: Decimal
    hold_slice: int
    event_interval: int
    granted: int = 0
    a_free_until_connected: bool = False


# Facts


@dataclass(frozen=True, slots=True)
class Ringing:
    """The phone of this attempt rings."""

    side: Side
    attempt: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The phone of this attempt was picked up. `dialog`: what another switch has to know to put it
    down.
    """

    side: Side
    attempt: int
    dialog: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """This attempt will not be answered. `transport`: the gateway itself could not be reached, so
    another may be tried. `sip_status` and `q850` are 0 where there is none.
    """

    side: Side
    attempt: int
    cause: Cause
    transport: bool = False
    sip_status: int = 0
    q850: int = 0


@dataclass(frozen=True, slots=True)
class HungUp:
    """The phone of this attempt was put down by the person who had answered it."""

    side: Side
    attempt: int
    cause: Cause = Cause.NORMAL
    sip_status: int = 0
    q850: int = 0


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """Somebody outside the call wants it over: the customer (412), an operator, or the switch
    itself.
    """

    cause: Cause


@dataclass(frozen=True, slots=True)
class HoldGranted:
    """The hold now in force, which may be less than was wanted."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class TimeUp:
    """The machine's deadline has come."""


LegFact = Ringing | Answered | Failed | HungUp
Fact = LegFact | HangUpRequested | HoldGranted | TimeUp


# Commands


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring a leg's phone through this gateway."""

    side: Side
    attempt: int
    route: Route


@dataclass(frozen=True, slots=True)
class Bridge:
    """Connect the two answered legs: these attempts of A and B."""

    attempt_a: int
    attempt_b: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """Put this leg down, whether it rings or talks."""

    side: Side
    attempt: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Tell the customer's EventURL."""

    event: Event


@dataclass(frozen=True, slots=True)
class ExtendHold:
    """Raise the call's hold to this amount, or as far as the funds reach, and answer with
    `HoldGranted`.
    """

    wanted: Decimal


@dataclass(frozen=True, slots=True)
class Finish:
    """The call is over: charge it. Nothing comes after this."""

    status: CallStatus
    cause: Cause
    duration: int
    cost_a: Decimal
    cost_b: Decimal


Command = Dial | Bridge | HangUp | SendEvent | ExtendHold | Finish
