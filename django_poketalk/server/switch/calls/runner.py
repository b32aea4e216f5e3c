"""One claimed call in this switch: executes its machine's commands and writes its rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

from django_poketalk.protocol import numbers
from django_poketalk.protocol.eventurl import Event
from django_poketalk.shared.logs import about_call, get_logger

from ..clock import Clock, DatabaseTime
from ..delivery.sender import Delivery, EventQueue, EventSender
from ..gateways.base import BaseGateway, CallKey, LegKey
from ..machine.call import CallMachine
from ..machine.facts_and_commands import (
    Bridge,
    Cause,
    ChannelsReserved,
    Command,
    Dial,
    DialExtension,
    ExtendHold,
    Fact,
    Failed,
    Finish,
    HangUp,
    HangUpRequested,
    HoldGranted,
    HungUp,
    ReserveChannels,
    RoutePair,
    SendEvent,
    Side,
    TimeUp,
)
from ..machine.hunt import Attempt
from ..monitoring.gateway_states import GatewayStates
from ..monitoring.stats import Stats
from ..ownership.plan import ClaimedCall
from . import store
from .changes import Change, LegRow, time_of_day
from .write_queue import WriteQueue

logger = get_logger(__name__)

SERVE = "serve"  # the step of the call in log records

# Maximum delay, in seconds, of changes that are not urgent, so that they are written together with
# the next change: what people watch (ringing, events that were not answered), and the log of events
# that were.
WRITE_WITHIN = 1.0
LOG_WITHIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """The objects that all calls of a switch share.

    `owned` returns whether the switch still holds its calls' leases. `reserve` reserves channels,
    on the first of these pairs that has free ones. `closed` is called once, when
    the switch has nothing left to do for the call; before it, `abandon` if the call needs recovery.
    """

    clock: Clock
    time: DatabaseTime
    write_queue: WriteQueue
    stats: Stats
    sender: EventSender
    gateways: Mapping[str, BaseGateway]
    gateway_states: GatewayStates
    owned: Callable[[], bool]
    reserve: Callable[[CallKey, tuple[RoutePair, ...]], Awaitable[RoutePair | None]]
    closed: Callable[[CallKey], object]
    abandon: Callable[[CallKey], None]


class CallRunner:
    """A claimed call, from its first step to its last write.

    Commands to gateways are executed at once. Events are written first: an event is sent after the
    row with its status is committed. A call's writes are sequential; changes that occur during one
    go into the next.
    """

    def __init__(self, claimed: ClaimedCall, context: CallContext) -> None:
        self.key: CallKey = claimed.key
        self._claimed = claimed
        self._context = context
        self._machine = CallMachine(claimed.plan)
        self._events = EventQueue(
            context.sender, claimed.eventurl, self._record_delivery, claimed.account
        )
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        # The time of day at the machine's zero, by the database's clock, as is `seen_at`, which
        # may limit the bill. All times of the legs derive from it, so that their differences
        # are those that the machine measured.
        self._zero = context.time.now() - timedelta(seconds=context.clock.now())
        # For the next write
        self._events_to_send: list[tuple[Event, float]] = []  # with their `time.monotonic()`
        self._deliveries: list[Delivery] = []
        self._requested_hold: Decimal | None = None
        self._finish: Finish | None = None
        self._charged = False
        self._done = False
        self._written_legs: dict[tuple[Side, int], LegRow] = {}
        self._write_timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._reserving: asyncio.Task[None] | None = None
        self._is_dirty = False
        a, b = numbers.mask(claimed.from_number), numbers.mask(claimed.to_number)
        self._name = f"Call {self.key.pk} ({a} → {b})"

    def __str__(self) -> str:
        return self._name

    @property
    def gateways_in_use(self) -> list[int]:
        """The gateways on which the call has channels, one for each leg."""
        return self._machine.gateways_in_use

    def start(self) -> None:
        """Ring leg A, or end a refused call."""
        with about_call(self.key.pk, SERVE):
            logger.info("%s: claimed.", self)
        self._context.stats.count_claim(self._claimed.waited)
        self._step(partial(self._machine.start, self._context.clock.now(), self._claimed.refused))

    def handle(self, fact: Fact) -> None:
        """Apply a fact. An error ends this call only."""
        if self._closed or not self._context.owned():
            return
        now = self._context.clock.now()
        if isinstance(fact, HungUp):  # nothing later is charged
            now -= fact.silence * self._context.clock.speed
        elif isinstance(fact, TimeUp):
            now = max(now, self._machine.deadline or now)  # timers may fire slightly early
        self._step(partial(self._machine.handle, fact, now))

    def drop(self) -> None:
        """Hang up and forget the call, without a write or an event: another switch may own it."""
        if self._closed:
            return
        self._context.stats.lost += 1
        for attempt in self._machine.attempts:
            if attempt.ended is None:
                self._hang_up(HangUp(attempt.side, attempt.number, Cause.SWITCH_LOST))
        self._close()

    # Commands

    def _step(self, step: Callable[[], list[Command]]) -> None:
        with about_call(self.key.pk, SERVE):  # so are the tasks and timers that it starts
            self._take(step)

    def _take(self, step: Callable[[], list[Command]]) -> None:
        try:
            commands = step()
            for command in commands:
                self._execute(command)
            self._set_timer()
        except Exception:
            logger.exception("%s: ended by an error in the switch.", self)
            self._abandon()
            return
        if commands:
            self._write_soon()
        else:
            self._write_later(WRITE_WITHIN)

    def _execute(self, command: Command) -> None:
        match command:
            case Dial():
                self._dial(command)
            case ReserveChannels(pairs):
                self._reserving = asyncio.create_task(self._reserve(pairs))
            case Bridge():
                self._bridge(command)
            case DialExtension():
                self._dial_extension(command)
            case HangUp():
                self._hang_up(command)
            case SendEvent(event):
                self._events_to_send.append((event, time.monotonic()))
                logger.debug("%s: status %d after %s s.", self, event.status, event.duration)
            case ExtendHold(amount):
                self._requested_hold = amount
            case Finish(status, cause, duration, cost_a, cost_b):
                self._finish = command
                self._context.stats.ended[status, cause] += 1
                self._context.gateway_states.count(self._machine.attempts, time.monotonic())
                self._done = not self._claimed.eventurl
                logger.info("%s: ended: %s, %d s, %s.", self, cause, duration, cost_a + cost_b)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._machine.deadline
        if deadline is not None:
            time_up = partial(self.handle, TimeUp())
            self._timer = self._context.clock.call_at(deadline, time_up)

    def _dial(self, dial: Dial) -> None:
        leg = LegKey(self.key, dial.side, dial.attempt)
        self._context.stats.dialed[dial.side] += 1
        try:
            number, caller = self._claimed.number(dial.side), self._claimed.number(dial.side.other)
            gateway = self._context.gateways[dial.route.kind]
            gateway.originate(leg, number, caller, dial.route)
            self._attempt(leg).dialog = gateway.dialog_of(leg)
        except Exception:
            logger.exception("%s: gateway %d failed to dial.", self, dial.route.gateway)
            down = Failed(dial.side, dial.attempt, Cause.GATEWAY_DOWN, transport=True)
            asyncio.get_running_loop().call_soon(self.handle, down)

    async def _reserve(self, pairs: tuple[RoutePair, ...]) -> None:
        try:
            pair = await self._context.reserve(self.key, pairs)
        except Exception:
            logger.exception("%s: no channels could be reserved.", self)
            pair = None
        self.handle(ChannelsReserved(pair))

    def _bridge(self, bridge: Bridge) -> None:
        leg_a = LegKey(self.key, Side.A, bridge.attempt_a)
        leg_b = LegKey(self.key, Side.B, bridge.attempt_b)
        try:
            self._gateway_of(leg_b).bridge(leg_a, leg_b)
        except Exception:
            logger.exception("%s: bridging the legs failed.", self)
            asyncio.get_running_loop().call_soon(self.handle, HangUpRequested(Cause.SWITCH_ERROR))

    def _dial_extension(self, dial: DialExtension) -> None:
        leg_b = LegKey(self.key, Side.B, dial.attempt_b)
        try:
            self._gateway_of(leg_b).dial_extension(leg_b, dial.digits)
        except Exception:
            logger.exception("%s: the extension could not be dialed.", self)

    def _hang_up(self, hang_up: HangUp) -> None:
        leg = LegKey(self.key, hang_up.side, hang_up.attempt)
        try:
            self._gateway_of(leg).hang_up(leg, hang_up.cause)
        except Exception:
            logger.exception("%s: hanging up leg %s failed.", self, hang_up.side)

    def _gateway_of(self, leg: LegKey) -> BaseGateway:
        return self._context.gateways[self._attempt(leg).route.kind]

    def _attempt(self, leg: LegKey) -> Attempt:
        for attempt in self._machine.attempts:
            if (attempt.side, attempt.number) == (leg.side, leg.attempt):
                return attempt
        raise LookupError(f"No attempt {leg.attempt} of leg {leg.side}.")

    def _record_delivery(self, delivery: Delivery) -> None:
        self._deliveries.append(delivery)
        self._context.stats.count_delivery(delivery)
        if delivery.error:
            logger.info("%s: event %d: %s", self, delivery.event.status, delivery.error)
        if delivery.event.status.is_final:
            self._done = True
            self._write_soon()
            return
        self._write_later(LOG_WITHIN if delivery.is_answered else WRITE_WITHIN)
        if delivery.vetoes:
            logger.info("%s: vetoed by the customer.", self)
            self.handle(HangUpRequested(Cause.VETOED))

    # Rows

    def _write_later(self, within: float) -> None:
        """Write within this many seconds, unless another change is written before."""
        loop = asyncio.get_running_loop()
        if self._closed or (self._write_timer and self._write_timer.when() <= loop.time() + within):
            return
        self._cancel_write_timer()
        self._write_timer = loop.call_later(within, self._write_soon)

    def _write_soon(self) -> None:
        self._is_dirty = True
        if not self._closed and self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    async def _write(self) -> None:
        try:
            while self._is_dirty and not self._closed:
                self._is_dirty = False
                await self._write_once()
        except store.LostCall:
            logger.warning("%s: lost to another switch.", self)
            self.drop()
        except Exception:
            if not self._closed:
                logger.exception("%s: ended because it could not be written.", self)
                self._abandon()
        finally:
            self._writing = None

    async def _write_once(self) -> None:
        self._cancel_write_timer()
        machine = self._machine
        legs = {
            (each.side, each.number): LegRow.of_attempt(each, machine, self._claimed, self._zero)
            for each in machine.attempts
        }
        written = self._written_legs
        change = Change(
            self.key,
            self._claimed.account,
            status=None if self._charged else machine.status,
            duration=machine.duration,
            max_duration=machine.max_duration,
            cost=machine.cost,
            new_legs=tuple(row for leg, row in legs.items() if leg not in written),
            legs=tuple(row for leg, row in legs.items() if written.get(leg, row) != row),
            deliveries=tuple(self._deliveries),
            requested_hold=self._requested_hold,
            frees_channels=self._claimed.plan.has_limited_channels,
            finish=self._finish,
            ended_at=time_of_day(machine.now, self._zero),
            done=self._done,
        )
        events, self._events_to_send = self._events_to_send, []
        self._deliveries, self._requested_hold, self._finish = [], None, None
        granted = await self._context.write_queue.save(change)
        if self._closed:
            return
        self._written_legs = legs
        self._charged = self._charged or change.finish is not None
        for event, occurred in events if self._claimed.eventurl else ():
            self._events.put(event, occurred)
        if change.done:
            self._close()
        elif granted is not None:
            self.handle(HoldGranted(granted))

    # End

    def _abandon(self) -> None:
        """Hang up, and leave the row to the recovery of abandoned calls."""
        if not self._closed:
            self._context.abandon(self.key)
            self.drop()

    def _close(self) -> None:
        self._closed = True
        self._cancel_write_timer()
        if self._timer is not None:
            self._timer.cancel()
        self._events.stop()
        self._context.closed(self.key)
