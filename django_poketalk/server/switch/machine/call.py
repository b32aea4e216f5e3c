"""One call as a state machine. All the rules of a call live here; there is no I/O, no clock and no
database.

Facts go in with the time at which they came true, commands come out. The time is in seconds of a
clock that never goes back; its zero does not matter. The caller carries the commands out in their
order, and calls `handle(TimeUp(), now)` at `deadline`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing import rating

from .facts_and_commands import (
    Answered,
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
    HungUp,
    LegFact,
    Plan,
    Ringing,
    Route,
    SendEvent,
    Side,
    TimeUp,
)

# After a hold could not be extended as far as was wanted, the seconds until it is tried again.
EXTENSION_RETRY = 10.0


def whole_seconds(seconds: float) -> int:
    """Whole seconds that have passed, unhurt by the rounding of differences of floats."""
    return int(seconds + 1e-6)


def closing_status(status: CallStatus | None) -> CallStatus:
    """The final status of a call that is ended from outside: 2, 4 or 8 by its phase."""
    match status:
        case CallStatus.A_ANSWERED | CallStatus.B_INITIATED:
            return CallStatus.A_DISCONNECTED
        case CallStatus.B_ANSWERED:
            return CallStatus.AB_DISCONNECTED
        case _:
            return CallStatus.A_FAILED


@dataclass(slots=True)
class Attempt:
    """One attempt to ring one leg. The times are the machine's, None for what has not happened."""

    side: Side
    number: int
    route: Route
    initiated: float
    ringing: float | None = None
    answered: float | None = None
    ended: float | None = None
    cause: Cause | None = None
    sip_status: int = 0
    q850: int = 0
    dialog: str = ""

    @property
    def rings_until(self) -> float:
        """When it counts as not answered."""
        return self.initiated + self.route.ring_timeout


class CallMachine:
    """A call from its first event to its last.

    `start()` first, then `handle()` for each fact. `status`, `duration`, `cost` and `attempts` are
    as of the last step.

    What it promises, whatever comes in: the statuses follow the order of the protocol; there is
    exactly one final event, and nothing after `Finish`; leg B is not rung before A has answered,
    nor by another kind of gateway than A, and is put down when A leaves; every attempt that was
    dialled has failed or is hung up when the call is over; the cost never falls, ends as the sum
    of the two legs' costs, and is never more than the hold.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status: CallStatus | None = None
        self.attempts: list[Attempt] = []
        self.hold = plan.hold
        self._now = float("-inf")
        self._commands: list[Command] = []
        self._paid = 0  # seconds since A's answer that the hold pays for
        self._next_tick = 0.0
        self._ask_at: float | None = None  # when to ask for more hold
        self._asking: Decimal | None = None  # what was asked for, while the answer is awaited

    # What the call is

    @property
    def ended(self) -> bool:
        """Whether the final event and `Finish` have been given."""
        return self.status is not None and self.status.is_final

    @property
    def deadline(self) -> float | None:
        """When `handle(TimeUp(), now)` is due; None when nothing is awaited but facts."""
        if self.ended:
            return None
        times = [attempt.rings_until for attempt in self._live() if attempt.answered is None]
        if (answered := self._answered_at(Side.A)) is not None:
            times += [answered + self._paid, self._next_tick]
            if self._ask_at is not None:
                times.append(self._ask_at)
        return min(times, default=None)

    @property
    def now(self) -> float:
        """The time of the last step."""
        return self._now

    @property
    def duration(self) -> int:
        """Whole seconds since leg A answered, never more than the hold pays for."""
        return self.seconds(Side.A) or 0

    @property
    def cost(self) -> Decimal:
        """The cost so far, both legs."""
        return self.leg_cost(Side.A) + self.leg_cost(Side.B)

    @property
    def max_duration(self) -> int:
        """The seconds since A's answer that the call may last as far as is known: what was granted,
        or, once B has answered, what the hold pays for when that is more.
        """
        is_connected = self._answered_at(Side.B) is not None
        return max(self.plan.granted, self._paid if is_connected else 0)

    def seconds(self, side: Side) -> int | None:
        """Whole seconds since this leg answered, within the hold; None when it has not."""
        answered_a, answered = self._answered_at(Side.A), self._answered_at(side)
        if answered_a is None or answered is None:
            return None
        return whole_seconds(max(0.0, min(self._now, answered_a + self._paid) - answered))

    def leg_cost(self, side: Side) -> Decimal:
        """What this leg costs so far; nothing while it has not answered, nor for leg A while it is
        free.
        """
        is_free = side is Side.A and self.plan.a_free_until_connected
        seconds = self.seconds(Side.B if is_free else side)
        tariff = self.plan.tariff_a if side is Side.A else self.plan.tariff_b
        return rating.FREE if seconds is None else rating.cost(tariff, seconds)

    # What happens to it

    def start(self, now: float, refused: Cause | None = None) -> list[Command]:
        """Begin. With `refused`, or when the hold does not even pay the shortest call, the call
        fails and nobody is rung.
        """
        self._now = now
        self._enter(CallStatus.A_INITIATED)
        if refused is None and self._shortest() > self.hold:
            refused = Cause.NO_FUNDS
        if refused is None:
            self._dial(Side.A, Cause.NO_GATEWAY)
        else:
            self._end(CallStatus.A_FAILED, refused)
        return self._given()

    def handle(self, fact: Fact, now: float) -> list[Command]:
        """Take a fact, after all that time has brought up to `now`. Facts about attempts that are
        over are ignored.
        """
        if not self.ended:
            self._now = max(self._now, now)
            self._pass_time()
        if not self.ended:
            self._take(fact)
        return self._given()

    def _take(self, fact: Fact) -> None:
        match fact:
            case HangUpRequested(cause):
                self._end(closing_status(self.status), cause)
            case HoldGranted(amount):
                self._take_hold(amount)
            case TimeUp():
                pass
            case Ringing() | Answered() | Failed() | HungUp():
                attempt = self._attempt(fact.side, fact.attempt)
                if attempt is not None:
                    self._take_of(attempt, fact)

    def _take_of(self, attempt: Attempt, fact: LegFact) -> None:
        match fact:
            case Ringing():
                if attempt.ringing is None and attempt.answered is None:
                    attempt.ringing = self._now
            case Answered(dialog=dialog):
                self._take_answer(attempt, dialog)
            case Failed(cause=cause) | HungUp(cause=cause):
                attempt.sip_status, attempt.q850 = fact.sip_status, fact.q850
                if attempt.answered is not None:
                    self._leave(attempt, cause)
                    return
                unreached = isinstance(fact, Failed) and fact.transport
                self._fail(attempt, cause, may_retry=unreached and attempt.ringing is None)

    def _pass_time(self) -> None:
        for attempt in self._live():
            if attempt.answered is None and self._now >= attempt.rings_until:
                self._put_down(attempt, Cause.NO_ANSWER)
                self._fail(attempt, Cause.NO_ANSWER, may_retry=False)
                return
        answered = self._answered_at(Side.A)
        if answered is None:
            return
        if self._now >= answered + self._paid:
            whole = self._paid >= self.plan.max_duration
            self._end(closing_status(self.status), Cause.MAX_DURATION if whole else Cause.NO_FUNDS)
            return
        if self._now >= self._next_tick:
            self._send_event()
            passed = whole_seconds(self._now - answered) // self.plan.event_interval
            self._next_tick = answered + (passed + 1) * self.plan.event_interval
        if self._ask_at is not None and self._now >= self._ask_at:
            until = min(self.plan.max_duration, self._paid + self.plan.hold_slice)
            self._ask_at, self._asking = None, self._cost_at(until)
            self._commands.append(ExtendHold(self._asking))

    # Legs

    def _live(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.ended is None]

    def _attempt(self, side: Side, number: int) -> Attempt | None:
        for attempt in self._live():
            if (attempt.side, attempt.number) == (side, number):
                return attempt
        return None

    def _answered_at(self, side: Side) -> float | None:
        for attempt in self.attempts:
            if attempt.side is side and attempt.answered is not None:
                return attempt.answered
        return None

    def _dial(self, side: Side, last_cause: Cause) -> None:
        """Try the leg's next gateway; without one, the leg has failed for `last_cause`."""
        routes = self.plan.routes_a if side is Side.A else self._routes_b()
        tried = sum(attempt.side is side for attempt in self.attempts)
        if tried == len(routes):
            self._end(
                CallStatus.A_FAILED if side is Side.A else CallStatus.B_FAILED,
                last_cause,
                Cause.OTHER_LEG,
            )
            return
        attempt = Attempt(side, tried + 1, routes[tried], self._now)
        self.attempts.append(attempt)
        self._commands.append(Dial(side, attempt.number, attempt.route))

    def _routes_b(self) -> list[Route]:
        """Only a kind of gateway that has both legs can connect them."""
        kind = self._leg_a().route.kind
        return [route for route in self.plan.routes_b if route.kind == kind]

    def _leg_a(self) -> Attempt:
        return next(attempt for attempt in self._live() if attempt.side is Side.A)

    def _take_answer(self, attempt: Attempt, dialog: str) -> None:
        if attempt.answered is not None:
            return
        attempt.answered, attempt.dialog = self._now, dialog
        self._measure_hold()
        if attempt.side is Side.A:
            self._next_tick = self._now + self.plan.event_interval
            self._enter(CallStatus.A_ANSWERED)
            self._enter(CallStatus.B_INITIATED)
            self._dial(Side.B, Cause.NO_GATEWAY)
        else:
            self._commands.append(Bridge(self._leg_a().number, attempt.number))
            self._enter(CallStatus.B_ANSWERED)

    def _fail(self, attempt: Attempt, cause: Cause, *, may_retry: bool) -> None:
        """The attempt was not answered. Another gateway is tried only where no phone has rung."""
        attempt.ended, attempt.cause = self._now, cause
        if may_retry:
            self._dial(attempt.side, cause)
        else:
            status = CallStatus.A_FAILED if attempt.side is Side.A else CallStatus.B_FAILED
            self._end(status, cause, Cause.OTHER_LEG)

    def _leave(self, attempt: Attempt, cause: Cause) -> None:
        """Whoever had answered has put the phone down."""
        attempt.ended, attempt.cause = self._now, cause
        self._end(closing_status(self.status), cause, Cause.OTHER_LEG)

    def _put_down(self, attempt: Attempt, cause: Cause) -> None:
        attempt.ended, attempt.cause = self._now, cause
        self._commands.append(HangUp(attempt.side, attempt.number, cause))

    # Money

    def _shortest(self) -> Decimal:
        return rating.call_cost(self.plan.tariff_a, self.plan.tariff_b, 0, 0)

    def _cost_at(self, seconds: int) -> Decimal:
        """The cost of the call when it lasts so long. Before B has answered: of A, with a slice of
        talk.
        """
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
        """See how long the hold lasts, and plan to ask for more (not before that time) while half a
        slice is left.

        That becomes less when B answers, who is paid for from then on, but never less than what has
        passed: until then, B's shortest call was reckoned with.
        """
        answered = self._answered_at(Side.A)
        if answered is None:
            return
        self._paid = rating.maximum_duration(
            self.plan.tariff_a,
            self.plan.tariff_b,
            self.hold,
            self.plan.max_duration,
            self._b_offset(),
            a_free_until_connected=self.plan.a_free_until_connected,
        )
        if self._paid < self.plan.max_duration and self._asking is None:
            self._ask_at = max(answered + self._paid - self.plan.hold_slice / 2, not_before)
        else:
            self._ask_at = None

    def _take_hold(self, amount: Decimal) -> None:
        is_short = self._asking is not None and amount < self._asking
        self.hold, self._asking = max(self.hold, amount), None
        self._measure_hold(self._now + EXTENSION_RETRY if is_short else self._now)

    # Events

    def _enter(self, status: CallStatus) -> None:
        self.status = status
        self._send_event()

    def _send_event(self) -> None:
        event = Event(
            self.status or CallStatus.UNKNOWN, self.plan.webcallid, self.duration, self.cost
        )
        self._commands.append(SendEvent(event))

    def _end(self, status: CallStatus, cause: Cause, leg_cause: Cause | None = None) -> None:
        """Put down what is still up, for `leg_cause` or else for the call's own cause, and close
        the call.
        """
        for attempt in self._live():
            self._put_down(attempt, leg_cause or cause)
        self._enter(status)
        self._commands.append(
            Finish(status, cause, self.duration, self.leg_cost(Side.A), self.leg_cost(Side.B))
        )

    def _given(self) -> list[Command]:
        commands, self._commands = self._commands, []
        return commands
