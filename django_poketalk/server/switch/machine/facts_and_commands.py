"""The inputs (facts) and outputs (commands) of the call machine. Plain values, no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.routing.trunk import Trunk


class Side(enum.StrEnum):
    """The two legs, as in `models.Side`: A (`from`) rings first, B (`to`) when A has answered."""

    A = "A"
    B = "B"

    @property
    def other(self) -> Side:
        """The other leg."""
        return Side.B if self is Side.A else Side.A


class Cause(enum.StrEnum):
    """Why a leg or a call ended."""

    # Phones and gateways
    NORMAL = "normal"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    UNALLOCATED = "unallocated_number"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    GATEWAY_DOWN = "gateway_down"
    TRANSFERRED = "transferred"
    FORWARDED = "forwarded"
    OTHER_LEG = "other_leg"
    PEER_LOST = "peer_lost"
    # Rules of the service
    NO_GATEWAY = "no_gateway"
    NO_CHANNEL = "no_channel"
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
    """A gateway that a leg can be dialed through: its primary key, kind, ring timeout in seconds,
    and, for real phones, its trunk. `max_channels` is 0 without a limit.
    """

    gateway: int
    kind: str
    ring_timeout: int
    trunk: Trunk | None = None
    max_channels: int = 0

    @property
    def dials_extensions(self) -> bool:
        """Whether it can dial an extension after the answer. Simulated phones can."""
        return self.trunk is None or self.trunk.dials_extensions


RoutePair = tuple[Route, Route]  # for leg A and leg B


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the machine knows about a call before it starts. Times in seconds, money in
    the account's currency.

    The routes are in the order in which they are tried. The call has channels for the first pair
    that can be bridged.

    `max_duration` is the limit regardless of funds, `granted` the duration that the funds covered
    at admission. Leg A is charged from its own answer, or, with `a_free_until_connected`, from B's.
    `to_extension` is dialed when B has answered: digits, with `w` and `,` for pauses.
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
    to_extension: str = ""

    @property
    def has_limited_channels(self) -> bool:
        """Whether the call may use a gateway with a limited number of channels."""
        return any(route.max_channels for route in (*self.routes_a, *self.routes_b))

    def tariff(self, side: Side) -> Tariff:
        """The tariff of a leg."""
        return self.tariff_a if side is Side.A else self.tariff_b


# Facts


@dataclass(frozen=True, slots=True)
class Ringing:
    """The phone is ringing."""

    side: Side
    attempt: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The phone was answered. `dialog` is the data that another switch needs to hang it up if it
    was not known when the leg was originated.
    """

    side: Side
    attempt: int
    dialog: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed before an answer. `transport`: the gateway could not be reached, so
    another can be tried. `sip_status` and `q850` are 0 if unknown. `retry_after` are the seconds
    for which the gateway has asked not to be used.
    """

    side: Side
    attempt: int
    cause: Cause
    transport: bool = False
    sip_status: int = 0
    q850: int = 0
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class HungUp:
    """The person who had answered hung up, or the phone responds no longer: `silence` is the
    seconds since it was last known to be connected.
    """

    side: Side
    attempt: int
    cause: Cause = Cause.NORMAL
    sip_status: int = 0
    q850: int = 0
    silence: float = 0.0


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """The customer (412), an operator or the switch itself ends the call."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class HoldGranted:
    """The hold now in force, which may be less than requested."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class ChannelsReserved:
    """The call now has channels on these gateways, or on none."""

    pair: RoutePair | None


@dataclass(frozen=True, slots=True)
class TimeUp:
    """The machine's deadline has passed."""


LegFact = Ringing | Answered | Failed | HungUp
Fact = LegFact | HangUpRequested | HoldGranted | ChannelsReserved | TimeUp


# Commands


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring the leg's phone through this gateway."""

    side: Side
    attempt: int
    route: Route


@dataclass(frozen=True, slots=True)
class ReserveChannels:
    """Reserve channels on the first of these pairs of gateways that has free ones, for leg A and
    leg B, instead of the call's present ones. The reply is `ChannelsReserved`.
    """

    pairs: tuple[RoutePair, ...]


@dataclass(frozen=True, slots=True)
class Bridge:
    """Connect the two answered legs, given their attempt numbers."""

    attempt_a: int
    attempt_b: int


@dataclass(frozen=True, slots=True)
class DialExtension:
    """Dial these digits and pauses on the answered leg B. Its failure does not end the call."""

    attempt_b: int
    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up the leg, whether it is ringing or answered."""

    side: Side
    attempt: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Send the event to the customer's EventURL."""

    event: Event


@dataclass(frozen=True, slots=True)
class ExtendHold:
    """Raise the hold to this amount, or as far as the funds allow. The reply is `HoldGranted`."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class Finish:
    """Charge the call, which has ended. The last command."""

    status: CallStatus
    cause: Cause
    duration: int
    cost_a: Decimal
    cost_b: Decimal


Command = Dial | ReserveChannels | Bridge | DialExtension | HangUp | SendEvent | ExtendHold | Finish
