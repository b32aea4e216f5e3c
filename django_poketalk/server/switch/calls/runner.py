"""One call in the hands of this switch: its machine's commands carried out, its rows kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django_poketalk.protocol import numbers
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing.rating import FREE

from ..clock import Clock, DatabaseTime
from ..delivery.sender import Delivery, EventQueue, EventSender
from ..gateways.base import BaseGateway, CallKey, LegKey
from ..machine.call import Attempt, CallMachine
from ..machine.facts_and_commands import (
    Bridge,
    Cause,
    Command,
    Dial,
    ExtendHold,
    Fact,
    Failed,
    Finish,
    HangUp,
    HangUpRequested,
    HoldGranted,
    SendEvent,
    Side,
    TimeUp,
)
from ..monitoring.stats import Stats
from ..ownership.plan import ClaimedCall
from . import store
from .changes import Change, LegRow
from .write_queue import WriteQueue

logger = logging.getLogger(__name__)

# Seconds that news which nobody waits for (ringing, answers to events) may lie about, so that it
# is written together with what comes next.
WRITE_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call needs of its switch.

    `owned` says whether the switch still holds its calls. `gone` is called once, when nothing is
    left to do for the call here; before that `abandon`, when it is left to be recovered.
    """

    clock: Clock
    time: DatabaseTime
    write_queue: WriteQueue
    stats: Stats
    sender: EventSender
    gateways: Mapping[str, BaseGateway]
    owned: Callable[[], bool]
    gone: Callable[[CallKey], None]
    abandon: Callable[[CallKey], None]


class CallRunner:
    """A claimed call, from its first step to its last write.

    Gateways and timers are served at once. What the customer is told is written first: an event
    leaves when the row that says the same is committed. Writes of a call follow each other; what
    happens meanwhile goes into the next one.
    """

    def __init__(self, claimed: ClaimedCall, means: CallContext) -> None:
        self.key: CallKey = claimed.key
        self._claimed = claimed
        self._means = means
        self._machine = CallMachine(claimed.plan)
        self._events = EventQueue(means.sender, claimed.eventurl, self._delivered)
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        # When the machine's clock was at zero. The legs' times of day all follow from it, so that
        # they differ by what the machine measured, whatever the system's clock does meanwhile. By
        # the database's clock, as the proofs of life that it may have to be billed by.
        self._zero = means.time.now() - timedelta(seconds=means.clock.now())
        # What the next write takes along
        self._to_send: list[tuple[Event, float]] = []  # and when it came true (monotonic)
        self._to_record: list[Delivery] = []
        self._wanted_hold: Decimal | None = None
        self._finish: Finish | None = None
        self._charged = False
        self._done = False
        self._written: dict[tuple[Side, int], LegRow] = {}
        self._write_timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._unwritten = False
        a, b = numbers.mask(claimed.from_number), numbers.mask(claimed.to_number)
        self._name = f"Call {self.key.pk} ({a} → {b})"

    def __str__(self) -> str:
        return self._name

    def start(self) -> None:
        """Begin: ring leg A, or end at once what is not to be begun."""
        logger.info("%s: claimed.", self)
        self._means.stats.claimed(self._claimed.waited)
        self._step(lambda: self._machine.start(self._means.clock.now(), self._claimed.refused))

    def handle(self, fact: Fact) -> None:
        """Take a fact. Errors end the call, and no other."""
        if self._over or not self._means.owned():
            return
        now = self._means.clock.now()
        if isinstance(fact, TimeUp):
            now = max(now, self._machine.deadline or now)  # timers may be a hair early
        self._step(lambda: self._machine.handle(fact, now))

    def drop(self) -> None:
        """Let go of the call without a write or an event: it is not ours any more."""
        if self._over:
            return
        self._means.stats.lost += 1
        for attempt in self._machine.attempts:
            if attempt.ended is None:
                self._hang_up(HangUp(attempt.side, attempt.number, Cause.SWITCH_LOST))
        self._close()

    # The machine

    def _step(self, machine: Callable[[], list[Command]]) -> None:
        try:
            commands = machine()
            for command in commands:
                self._carry_out(command)
            self._set_timer()
        except Exception:
            logger.exception("%s: ended by an error in the switch.", self)
            self._give_up()
            return
        if commands:
            self._write_soon()
        else:
            self._write_later()

    def _carry_out(self, command: Command) -> None:
        match command:
            case Dial():
                self._dial(command)
            case Bridge():
                self._bridge(command)
            case HangUp():
                self._hang_up(command)
            case SendEvent(event):
                self._to_send.append((event, time.monotonic()))
                logger.debug("%s: %d after %s s.", self, event.status, event.duration)
            case ExtendHold(wanted):
                self._wanted_hold = wanted
            case Finish():
                self._finish = command
                self._means.stats.ended(command.status, command.cause)
                self._done = not self._claimed.eventurl
                logger.info(
                    "%s: over, %s, %d s, %s.",
                    self,
                    command.cause,
                    command.duration,
                    command.cost_a + command.cost_b,
                )

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._machine.deadline
        self._timer = (
            None
            if deadline is None
            else self._means.clock.call_at(deadline, partial(self.handle, TimeUp()))
        )

    # Gateways

    def _dial(self, dial: Dial) -> None:
        leg = LegKey(self.key, dial.side, dial.attempt)
        self._means.stats.dialled(dial.side)
        try:
            gateway = self._means.gateways[dial.route.kind]
            number, caller = self._claimed.number(dial.side), self._claimed.number(dial.side.other)
            gateway.originate(leg, number, caller, dial.route)
        except Exception:
            logger.exception("%s: gateway %d could not dial.", self, dial.route.gateway)
            down = Failed(dial.side, dial.attempt, Cause.GATEWAY_DOWN, transport=True)
            asyncio.get_running_loop().call_soon(self.handle, down)

    def _bridge(self, bridge: Bridge) -> None:
        leg_a = LegKey(self.key, Side.A, bridge.attempt_a)
        leg_b = LegKey(self.key, Side.B, bridge.attempt_b)
        try:
            self._gateway_of(leg_b).bridge(leg_a, leg_b)
        except Exception:
            logger.exception("%s: its legs could not be connected.", self)
            asyncio.get_running_loop().call_soon(self.handle, HangUpRequested(Cause.SWITCH_ERROR))

    def _hang_up(self, hang_up: HangUp) -> None:
        leg = LegKey(self.key, hang_up.side, hang_up.attempt)
        try:
            self._gateway_of(leg).hang_up(leg, hang_up.cause)
        except Exception:
            logger.exception("%s: leg %s could not be put down.", self, hang_up.side)

    def _gateway_of(self, leg: LegKey) -> BaseGateway:
        attempts = self._machine.attempts
        kinds = {(attempt.side, attempt.number): attempt.route.kind for attempt in attempts}
        return self._means.gateways[kinds[leg.side, leg.attempt]]

    # Events

    def _delivered(self, delivery: Delivery) -> None:
        self._to_record.append(delivery)
        self._means.stats.delivered(delivery)
        if delivery.error:
            logger.info("%s: event %d: %s", self, delivery.event.status, delivery.error)
        if delivery.event.status.is_final:
            self._done = True
            self._write_soon()
        elif delivery.vetoes:
            logger.info("%s: vetoed by its customer.", self)
            self.handle(HangUpRequested(Cause.VETOED))
        self._write_later()

    # Rows

    def _write_later(self) -> None:
        if not self._over and self._write_timer is None and self._writing is None:
            loop = asyncio.get_running_loop()
            self._write_timer = loop.call_later(WRITE_WITHIN, self._write_soon)
        self._unwritten = True

    def _write_soon(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        self._unwritten = True
        if not self._over and self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._unwritten and not self._over:
                self._unwritten = False
                await self._write_once()
        except store.LostCall:
            logger.warning("%s: lost to another switch.", self)
            self.drop()
        except Exception:
            if not self._over:
                logger.exception("%s: ended, since it could not be written.", self)
                self._give_up()
        finally:
            self._writing = None

    async def _write_once(self) -> None:
        machine = self._machine
        rows = {(a.side, a.number): self._leg_row(a) for a in machine.attempts}
        change = Change(
            self.key,
            self._claimed.account,
            status=None if self._charged else machine.status,
            duration=machine.duration,
            max_duration=machine.max_duration,
            cost=machine.cost,
            new_legs=tuple(row for leg, row in rows.items() if leg not in self._written),
            legs=tuple(row for leg, row in rows.items() if self._written.get(leg, row) != row),
            deliveries=tuple(self._to_record),
            wanted_hold=self._wanted_hold,
            finish=self._finish,
            ended_at=self._time_of_day(machine.now),
            done=self._done,
        )
        to_send, self._to_send = self._to_send, []
        self._to_record, self._wanted_hold, self._finish = [], None, None
        granted = await self._means.write_queue.save(change)
        if self._over:
            return
        self._written = rows
        self._charged = self._charged or change.finish is not None
        for event, since in to_send if self._claimed.eventurl else ():
            self._events.put(event, since)
        if change.done:
            self._close()
        elif granted is not None:
            self.handle(HoldGranted(granted))

    def _leg_row(self, attempt: Attempt) -> LegRow:
        machine = self._machine
        answered = attempt.answered is not None
        return LegRow(
            side=attempt.side,
            attempt=attempt.number,
            gateway=attempt.route.gateway,
            number=self._claimed.number(attempt.side),
            tariff=self._claimed.tariff(attempt.side),
            initiated_at=self._time_of_day(attempt.initiated),
            ringing_at=self._time_of_day_or_none(attempt.ringing),
            answered_at=self._time_of_day_or_none(attempt.answered),
            ended_at=self._time_of_day_or_none(attempt.ended),
            cause=attempt.cause or "",
            sip_status=attempt.sip_status,
            q850=attempt.q850,
            dialog="" if attempt.ended is not None else attempt.dialog,
            duration=(machine.seconds(attempt.side) or 0) if answered else 0,
            cost=machine.leg_cost(attempt.side) if answered else FREE,
            bought=self._claimed.bought.get((attempt.side, attempt.route.gateway)),
        )

    def _time_of_day(self, moment: float) -> datetime:
        return self._zero + timedelta(seconds=moment)

    def _time_of_day_or_none(self, moment: float | None) -> datetime | None:
        return None if moment is None else self._time_of_day(moment)

    # The end

    def _give_up(self) -> None:
        """Put the legs down and leave the row to whoever recovers abandoned calls, soon."""
        if self._over:
            return
        self._means.abandon(self.key)
        self.drop()

    def _close(self) -> None:
        self._over = True
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._events.stop()
        self._means.gone(self.key)
