"""One call as a state machine: all the rules of a call, without I/O, clock or database.

Facts go in with the time at which they happened; commands come out. Times are seconds of any
monotonic clock. The caller executes the commands in order, and calls `handle(TimeUp(), now)` at
`deadline`.
"""

from __future__ import annotations

from decimal import Decimal

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing import rating

from .facts_and_commands import (
    Answered,
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
    LegFact,
    Plan,
    ReserveChannels,
    Ringing,
    RoutePair,
    SendEvent,
    Side,
    TimeUp,
)
from .hunt import Attempt, Hunt

EXTENSION_RETRY = 10.0  # seconds from a hold that was not fully extended to the next request
LAST_LOOK = 5.0  # seconds that a call without money waits for the answer to its last request


def whole_seconds(seconds: float) -> int:
    """Completed seconds, tolerant of the rounding errors of float differences."""
    return int(seconds + 1e-6)


def closing_status(status: CallStatus | None) -> CallStatus:
    """The final status of a call that is ended from outside: 2, 4 or 8, depending on its phase."""
    match status:
        case CallStatus.A_ANSWERED | CallStatus.B_INITIATED:
            return CallStatus.A_DISCONNECTED
        case CallStatus.B_ANSWERED:
            return CallStatus.AB_DISCONNECTED
        case _:
            return CallStatus.A_FAILED


class CallMachine:
    """A call from its first event to its last.

    Call `start()` once, then `handle()` for each fact. `status`, `duration`, `cost` and `attempts`
    are as of the last step, whose time is `now`.

    Guarantees, for any sequence of facts: statuses come in the protocol's order; there is exactly
    one final event, and no command follows `Finish`; leg B is dialed only after leg A has answered,
    only where it can be bridged with A, and is hung up when A leaves; when the call ends, every
    attempt has failed or is hung up; the cost never decreases, ends as the sum of the legs' costs,
    and never exceeds the hold.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status: CallStatus | None = None
        self.attempts: list[Attempt] = []
        self.hold = plan.hold
        self.now = float("-inf")
        self._hunt = Hunt(plan)
        self._reserving: Side | None = None  # until `ChannelsReserved` arrives
        self._commands: list[Command] = []
        self._paid_seconds = 0  # since A's answer, covered by the hold
        self._next_tick = 0.0
        self._extend_at: float | None = None
        self._requested_hold: Decimal | None = None  # until `HoldGranted` arrives
        self._cut_at: float | None = None  # while the hold is used up and its last look is open
        self._is_last_look = False  # whether the open request was made after that

    # State

    @property
    def ended(self) -> bool:
        """Whether the final event and `Finish` have been issued."""
        return self.status is not None and self.status.is_final

    @property
    def gateways_in_use(self) -> list[int]:
        """The gateways on which the call has channels, one for each leg."""
        return [] if self.ended else [route.gateway for route in self._hunt.reserved or ()]

    @property
    def deadline(self) -> float | None:
        """When `handle(TimeUp(), now)` is due; None after the end."""
        if self.ended:
            return None
        times = [attempt.rings_until for attempt in self._live() if attempt.answered is None]
        if (answered := self._answered_at(Side.A)) is not None:
            if self._cut_at is None:
                times += [answered + self._paid_seconds, self._next_tick]
            else:
                times.append(self._cut_at)
            if self._extend_at is not None:
                times.append(self._extend_at)
        return min(times, default=None)

    @property
    def duration(self) -> int:
        """Whole seconds since leg A answered, within the hold."""
        return self.seconds(Side.A) or 0

    @property
    def cost(self) -> Decimal:
        """The cost of both legs so far."""
        return self.leg_cost(Side.A) + self.leg_cost(Side.B)

    @property
    def max_duration(self) -> int:
        """The seconds since A's answer that the call may last: as granted, or, once B has answered,
        what the hold pays for if that is more.
        """
        is_connected = self._answered_at(Side.B) is not None
        return max(self.plan.granted, self._paid_seconds if is_connected else 0)

    def seconds(self, side: Side) -> int | None:
        """Whole seconds since this leg answered, within the hold; None if it has not answered."""
        answered_a, answered = self._answered_at(Side.A), self._answered_at(side)
        if answered_a is None or answered is None:
            return None
        paid = self._paid_seconds - whole_seconds(answered - answered_a)
        return max(0, min(whole_seconds(self.now - answered), paid))

    def leg_cost(self, side: Side) -> Decimal:
        """The cost of this leg so far; zero before its answer, or while leg A is free."""
        is_free = side is Side.A and self.plan.a_free_until_connected
        seconds = self.seconds(Side.B if is_free else side)
        return rating.FREE if seconds is None else rating.cost(self.plan.tariff(side), seconds)

    # Steps

    def start(self, now: float, refused: Cause | None = None) -> list[Command]:
        """Begin the call. With `refused`, or if the hold cannot pay for the shortest call, the call
        fails without ringing anyone.
        """
        self.now = now
        self._enter(CallStatus.A_INITIATED)
        shortest = rating.call_cost(self.plan.tariff_a, self.plan.tariff_b, 0, 0)
        if refused is None and shortest > self.hold:
            refused = Cause.NO_FUNDS
        if refused is None:
            self._dial(Side.A, Cause.NO_GATEWAY)
        else:
            self._end(CallStatus.A_FAILED, refused)
        return self._pop_commands()

    def handle(self, fact: Fact, now: float) -> list[Command]:
        """Apply what is due by `now`, then the fact. Facts about ended attempts are ignored."""
        if not self.ended:
            self.now = max(self.now, now)
            self._apply_time()
        if not self.ended:
            match fact:
                case HangUpRequested(cause):
                    self._end(closing_status(self.status), cause)
                case HoldGranted(amount):
                    self._apply_hold(amount)
                case ChannelsReserved(pair):
                    self._apply_channels(pair)
                case Ringing() | Answered() | Failed() | HungUp():
                    self._apply_leg_fact(fact)
                case TimeUp():
                    pass
        return self._pop_commands()

    def _apply_time(self) -> None:
        for attempt in self._live():
            if attempt.answered is None and self.now >= attempt.rings_until:
                self._hang_up(attempt, Cause.NO_ANSWER)
                self._end_unanswered(attempt.side, Cause.NO_ANSWER)
                return
        answered = self._answered_at(Side.A)
        if answered is None:
            return
        if self._is_used_up:
            if self._cut_at is None and self._paid_seconds < self.plan.max_duration:
                self._look_last()
            elif self._cut_at is None or self.now >= self._cut_at:
                self._end_used_up()
                return
        if self.now >= self._next_tick and self._cut_at is None:
            self._send_event()
            ticks = whole_seconds(self.now - answered) // self.plan.event_interval
            self._next_tick = answered + (ticks + 1) * self.plan.event_interval
        if self._extend_at is not None and self.now >= self._extend_at:
            self._extend_hold()

    def _apply_leg_fact(self, fact: LegFact) -> None:
        for attempt in self._live():
            if (attempt.side, attempt.number) == (fact.side, fact.attempt):
                break
        else:
            return
        is_answered = attempt.answered is not None
        match fact:
            case Ringing():
                if attempt.ringing is None and not is_answered:
                    attempt.ringing = self.now
            case Answered(dialog=dialog):
                if not is_answered:
                    attempt.dialog = dialog or attempt.dialog
                    self._answer(attempt)
            case Failed(cause=cause) | HungUp(cause=cause):
                attempt.ended, attempt.cause = self.now, cause
                attempt.sip_status, attempt.q850 = fact.sip_status, fact.q850
                if is_answered:
                    self._end(closing_status(self.status), cause, Cause.OTHER_LEG)
                elif isinstance(fact, Failed) and fact.transport and attempt.ringing is None:
                    self._dial(attempt.side, cause)  # no phone has rung: try another gateway
                else:
                    self._end_unanswered(attempt.side, cause)

    # Legs

    def _live(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.ended is None]

    def _answered_at(self, side: Side) -> float | None:
        for attempt in self.attempts:
            if attempt.side is side and attempt.answered is not None:
                return attempt.answered
        return None

    def _dial(self, side: Side, last_cause: Cause) -> None:
        """Try the leg's next gateway; if none is left, the leg has failed with `last_cause`.

        If that needs other channels than the call has, they are reserved first.
        """
        remaining = self._hunt.remaining(side)
        if not remaining:
            self._end_unanswered(side, last_cause)
        elif self._hunt.has_channels(remaining[0]):
            self._dial_through(side, remaining[0])
        else:
            self._reserving = side
            self._commands.append(ReserveChannels(remaining))

    def _apply_channels(self, pair: RoutePair | None) -> None:
        side, self._reserving = self._reserving, None
        if side is None:
            return
        if pair is None:
            self._end_unanswered(side, Cause.NO_CHANNEL)
        else:
            self._dial_through(side, pair)

    def _dial_through(self, side: Side, pair: RoutePair) -> None:
        attempt = self._hunt.begin(side, pair, self.now)
        self.attempts.append(attempt)
        self._commands.append(Dial(side, attempt.number, attempt.route))

    def _live_leg_a(self) -> Attempt:
        return next(attempt for attempt in self._live() if attempt.side is Side.A)

    def _answer(self, attempt: Attempt) -> None:
        attempt.answered = self.now
        self._measure_hold()
        if attempt.side is Side.A:
            self._next_tick = self.now + self.plan.event_interval
            self._enter(CallStatus.A_ANSWERED)
            self._enter(CallStatus.B_INITIATED)
            self._dial(Side.B, Cause.NO_GATEWAY)
        else:
            self._commands.append(Bridge(self._live_leg_a().number, attempt.number))
            if self.plan.to_extension:
                self._commands.append(DialExtension(attempt.number, self.plan.to_extension))
            self._enter(CallStatus.B_ANSWERED)

    def _hang_up(self, attempt: Attempt, cause: Cause) -> None:
        attempt.ended, attempt.cause = self.now, cause
        self._commands.append(HangUp(attempt.side, attempt.number, cause))

    # Money

    def _cost_at(self, seconds: int) -> Decimal:
        """The cost of a call this long. Before B answers: A's cost, plus one hold slice of talk."""
        offset = self._b_offset()
        b_seconds = self.plan.hold_slice if offset is None else max(0, seconds - offset)
        a_seconds = b_seconds if self.plan.a_free_until_connected else seconds
        return rating.call_cost(self.plan.tariff_a, self.plan.tariff_b, a_seconds, b_seconds)

    def _b_offset(self) -> int | None:
        """Whole seconds from A's answer to B's; None before B has answered."""
        answered_a, answered_b = self._answered_at(Side.A), self._answered_at(Side.B)
        if answered_a is None or answered_b is None:
            return None
        return whole_seconds(answered_b - answered_a)

    def _measure_hold(self, not_before: float = float("-inf")) -> None:
        """Compute how long the hold lasts, and schedule the next extension for when half a slice is
        left, but not before the given time.

        B's answer shortens this, since B is charged from then on, but never below the time that has
        passed: until then, the hold covered B's shortest call.
        """
        answered = self._answered_at(Side.A)
        if answered is None:
            return
        self._paid_seconds = rating.maximum_duration(
            self.plan.tariff_a,
            self.plan.tariff_b,
            self.hold,
            self.plan.max_duration,
            self._b_offset(),
            a_free_until_connected=self.plan.a_free_until_connected,
        )
        if self._paid_seconds < self.plan.max_duration and self._requested_hold is None:
            half_left = answered + self._paid_seconds - self.plan.hold_slice / 2
            self._extend_at = max(half_left, not_before)
        else:
            self._extend_at = None

    @property
    def _is_used_up(self) -> bool:
        """Whether the time that the hold pays for has passed."""
        answered = self._answered_at(Side.A)
        return answered is not None and self.now >= answered + self._paid_seconds

    def _end_used_up(self) -> None:
        is_longest = self._paid_seconds >= self.plan.max_duration
        cause = Cause.MAX_DURATION if is_longest else Cause.NO_FUNDS
        self._end(closing_status(self.status), cause)

    def _extend_hold(self) -> None:
        until = min(self.plan.max_duration, self._paid_seconds + self.plan.hold_slice)
        self._extend_at, self._requested_hold = None, self._cost_at(until)
        self._commands.append(ExtendHold(self._requested_hold))

    def _look_last(self) -> None:
        """Request the hold's extension once more before the call is cut: money may have come since
        the last request. Nothing is charged for the wait unless the hold is extended.
        """
        self._cut_at = self.now + LAST_LOOK
        if self._requested_hold is None:
            self._is_last_look = True
            self._extend_hold()

    def _apply_hold(self, amount: Decimal) -> None:
        is_short = self._requested_hold is not None and amount < self._requested_hold
        self.hold, self._requested_hold = max(self.hold, amount), None
        self._measure_hold(self.now + EXTENSION_RETRY if is_short else self.now)
        if self._cut_at is None:
            return
        if not self._is_used_up:
            self._cut_at, self._is_last_look = None, False
        elif self._is_last_look or self._paid_seconds >= self.plan.max_duration:
            self._end_used_up()
        else:  # the answer to a request that was made before
            self._look_last()

    # Events

    def _enter(self, status: CallStatus) -> None:
        self.status = status
        self._send_event()

    def _send_event(self) -> None:
        event = Event(
            self.status or CallStatus.UNKNOWN, self.plan.webcallid, self.duration, self.cost
        )
        self._commands.append(SendEvent(event))

    def _end_unanswered(self, side: Side, cause: Cause) -> None:
        status = CallStatus.A_FAILED if side is Side.A else CallStatus.B_FAILED
        self._end(status, cause, Cause.OTHER_LEG)

    def _end(self, status: CallStatus, cause: Cause, leg_cause: Cause | None = None) -> None:
        """End the call: hang up the live legs, with `leg_cause` if given, else the call's cause."""
        for attempt in self._live():
            self._hang_up(attempt, leg_cause or cause)
        self._enter(status)
        self._commands.append(
            Finish(status, cause, self.duration, self.leg_cost(Side.A), self.leg_cost(Side.B))
        )

    def _pop_commands(self) -> list[Command]:
        commands, self._commands = self._commands, []
        return commands
