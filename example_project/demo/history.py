"""Generates plausible past calls for the demo and for benchmarks.

All numbers are from ranges that regulators reserve for fiction. The same seed produces the same
calls on any database, except for live calls, whose times are relative to the current time. It only
writes rows: nothing is sent, and no phone rings.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.contenttypes.models import ContentType

from contacts.models import Contact
from django_poketalk.events import vetoes
from django_poketalk.models import CallEvent, CallRequest, Placement, WrapUp
from django_poketalk.protocol.codes import CallStatus, ResponseCode

from . import after_calls

TICK = 60  # seconds between two events while the status stays the same
MAX_DURATION = 3600
PRICE = Decimal("0.004")  # a second, for both legs
ZERO = Decimal(0)
# How many calls begin in each hour of a day, and on each day of a week, in proportion
HOURS = (
    *(1, 1, 1, 1, 1, 2, 4, 8, 20, 40, 48, 46),
    *(30, 38, 46, 44, 38, 26, 12, 8, 6, 4, 2, 1),
)
WEEKDAYS = (10, 11, 11, 10, 9, 2, 1)  # Monday first

# How calls end, of 1,000
OUTCOMES = {
    "connected": 570,
    "talked too long": 4,
    "hung up by somebody": 12,
    "ended by a rule": 4,
    "callee not reached": 190,
    "caller not reached": 70,
    "ended early": 80,
    "refused": 30,
    "cancelled": 16,
    "expired": 4,
    "unreachable": 6,
    "unknown": 6,
    "stale": 8,
}
REFUSALS = {
    ResponseCode.NO_TIMEOUT: 12,
    ResponseCode.BLACKLISTED: 9,
    ResponseCode.NO_GATEWAY: 7,
    ResponseCode.UNKNOWN_ADDRESS: 1,
    ResponseCode.UNKNOWN_API_USER: 1,
}


@dataclass(frozen=True, slots=True)
class Person:
    """A caller: the user's primary key and phone number."""

    pk: int
    number: str


class History:
    """The calls of a number of days in chronological order, each with its events."""

    def __init__(
        self, seed: int, until: datetime, people: list[Person], contacts: list[Contact]
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311  # nothing depends on it
        self._people = people
        self._contacts = contacts
        self._type = ContentType.objects.get_for_model(Contact)
        self._numbers = list(fictional_numbers())
        self._until = until

    def calls(
        self, number: int, days: int, live: int
    ) -> Iterator[tuple[CallRequest, list[CallEvent]]]:
        """This many calls over this many days, then the live calls."""
        outcomes = list(OUTCOMES)
        weights = list(OUTCOMES.values())
        for moment in sorted(self._moments(number, days)):
            outcome = self._random.choices(outcomes, weights)[0]
            yield self._call(moment, outcome)
        for _ in range(live):
            start = self._until - timedelta(seconds=self._random.randint(60, 300))
            yield self._call(start, "live")

    def _moments(self, number: int, days: int) -> Iterator[datetime]:
        """Mostly on weekdays and in office hours; early enough for each call to have ended."""
        first = self._until - timedelta(days=days - 1)
        first = first.replace(hour=0, minute=0, second=0, microsecond=0)
        each_day = [WEEKDAYS[(first + timedelta(days=day)).weekday()] for day in range(days)]
        latest = self._until - timedelta(hours=2)
        hours = range(24)
        for day in self._random.choices(range(days), each_day, k=number):
            hour = self._random.choices(hours, HOURS)[0]
            within = timedelta(days=day, hours=hour, seconds=self._random.random() * 3600)
            moment = first + within
            if moment > latest:  # today is not over
                moment = latest - timedelta(days=self._random.random())
            yield moment

    def _call(self, moment: datetime, outcome: str) -> tuple[CallRequest, list[CallEvent]]:
        person = self._random.choice(self._people)
        call = CallRequest(
            webcallid=f"{self._random.getrandbits(128):032x}",
            user_id=person.pk,
            from_number=person.number,
            max_duration=MAX_DURATION,
            created_at=moment,
            not_before=moment,
            expires_at=moment + timedelta(minutes=2),
        )
        if self._contacts and self._random.random() < 0.6:
            contact = self._random.choice(self._contacts)
            call.to_number = contact.phone
            call.subject_type_id = self._type.pk
            call.subject_id = str(contact.pk)
        else:
            call.to_number = self._random.choice(self._numbers)
        events = self._place(call, outcome)
        return call, events

    def _place(self, call: CallRequest, outcome: str) -> list[CallEvent]:
        """The placement of the call and, if the service accepted it, its events."""
        sent = call.created_at + timedelta(seconds=self._random.uniform(0.05, 1.5))
        match outcome:
            case "cancelled":
                call.placement = Placement.CANCELLED
                call.hangup_requested_at = sent
                call.hangup_requested_by_id = call.user_id
                return []
            case "expired":
                call.placement = Placement.EXPIRED
                return []
            case "unreachable":
                call.placement = Placement.FAILED
                call.sent_at, call.attempts = sent, 5
                call.response_detail = "Connection refused"
                return []
        call.sent_at, call.attempts = sent, 1
        if outcome == "unknown":
            call.placement = Placement.UNKNOWN
            call.response_detail = "No answer within 10 s"
            call.stale_at = sent + timedelta(minutes=3)
            return []
        call.placed_at = sent + timedelta(seconds=self._random.uniform(0.03, 0.4))
        if outcome == "refused":
            code = self._random.choices(list(REFUSALS), list(REFUSALS.values()))[0]
            call.placement = Placement.REJECTED
            call.response_code = code.value
            call.response_detail = code.value
            return []
        call.placement = Placement.ACCEPTED
        call.response_code = ResponseCode.OK.value
        call.response_detail = ResponseCode.OK.value
        return self._events(call, outcome)

    def _events(self, call: CallRequest, outcome: str) -> list[CallEvent]:
        """The events of a call that the service accepted; they update the row."""
        rings = self._random.uniform
        a_rings = (call.placed_at or call.created_at) + timedelta(seconds=0.3)
        history = _Events(call)
        history.add(CallStatus.A_INITIATED, a_rings)
        if outcome == "caller not reached":
            history.add(CallStatus.A_FAILED, a_rings + timedelta(seconds=rings(5, 40)))
            return history.events
        a_answers = a_rings + timedelta(seconds=rings(2, 15))
        history.answered(a_answers)
        b_rings = a_answers + timedelta(seconds=rings(0.2, 1.5))
        history.add(CallStatus.B_INITIATED, b_rings)
        if outcome == "ended early":
            history.add(CallStatus.A_DISCONNECTED, b_rings + timedelta(seconds=rings(3, 30)))
            return history.events
        if outcome == "callee not reached":
            history.add(CallStatus.B_FAILED, b_rings + timedelta(seconds=rings(1, 45)))
            return history.events
        b_answers = b_rings + timedelta(seconds=rings(2, 25))
        history.add(CallStatus.B_ANSWERED, b_answers)
        if outcome == "live":
            history.ticks(a_answers, self._until)
            return history.events
        talks = min(self._random.expovariate(1 / 130) + 3, MAX_DURATION - 120)
        if outcome == "talked too long":
            talks = MAX_DURATION
        ends = b_answers + timedelta(seconds=talks)
        history.ticks(a_answers, ends)
        if outcome == "stale":
            call.stale_at = ends + timedelta(minutes=4)
            return history.events
        history.veto(outcome, ends)
        history.add(CallStatus.AB_DISCONNECTED, ends)
        return history.events


class _Events:
    """The events of one call; each updates the row."""

    def __init__(self, call: CallRequest) -> None:
        self.events: list[CallEvent] = []
        self._call = call
        self._answered_at: datetime | None = None

    def answered(self, at: datetime) -> None:
        self._answered_at = at
        self.add(CallStatus.A_ANSWERED, at)

    def add(self, status: CallStatus, at: datetime) -> None:
        call = self._call
        seconds = int((at - self._answered_at).total_seconds()) if self._answered_at else 0
        cost = PRICE * seconds
        call.status, call.status_at, call.last_event_at = int(status), at, at
        call.duration, call.cost = seconds, cost
        match status:
            case CallStatus.A_INITIATED:
                call.a_initiated_at = at
            case CallStatus.A_ANSWERED:
                call.a_answered_at = at
            case CallStatus.B_INITIATED:
                call.b_initiated_at = at
            case CallStatus.B_ANSWERED:
                call.b_answered_at = at
            case _:
                call.ended_at = at
        self._log(status, at, seconds, cost)

    def ticks(self, since: datetime, until: datetime) -> None:
        at = since + timedelta(seconds=TICK)
        while at < until:
            if at > self._call.last_event_at:
                self.repeat(at)
            at += timedelta(seconds=TICK)

    def repeat(self, at: datetime) -> None:
        call = self._call
        call.last_event_at = at
        call.duration = int((at - (self._answered_at or at)).total_seconds())
        call.cost = PRICE * call.duration
        self._log(CallStatus.B_ANSWERED, at, call.duration, call.cost)

    def veto(self, outcome: str, at: datetime) -> None:
        """Mark the last event before the end as answered with 412, if this site ended the call."""
        reasons = {
            "talked too long": vetoes.MAX_DURATION,
            "hung up by somebody": vetoes.HANG_UP,
            "ended by a rule": "outside office hours",
        }
        reason = reasons.get(outcome)
        if reason is None:
            return
        self._call.veto_reason = reason
        self.events[-1].answer, self.events[-1].reason = 412, reason
        if reason == vetoes.HANG_UP:
            self._call.hangup_requested_at = at - timedelta(seconds=2)
            self._call.hangup_requested_by_id = self._call.user_id

    def _log(self, status: CallStatus, at: datetime, seconds: int, cost: Decimal) -> None:
        self.events.append(
            CallEvent(
                call=self._call,
                received_at=at,
                remote_address="127.0.0.1",
                status=int(status),
                duration=seconds,
                cost=cost,
                answer=200,
            )
        )


def fictional_numbers() -> Iterator[str]:
    """Several thousand fictional numbers from five countries."""
    for last in range(1000):
        yield f"+442079460{last:03}"
        yield f"+441632960{last:03}"
        yield f"+447700900{last:03}"
    for area in ("212", "303", "415", "512", "617", "702", "808", "919"):
        for last in range(100):
            yield f"+1{area}55501{last:02}"
    for last in range(1000):
        yield f"+3319900{last:04}"
        yield f"+6125550{last:04}"


def write(batch: list[tuple[CallRequest, list[CallEvent]]], with_events: bool) -> None:
    """Store the calls, their wrap-ups and their events."""
    calls = [call for call, _events in batch]
    CallRequest.objects.bulk_create(calls)
    WrapUp.objects.bulk_create(after_calls.wrap_ups(calls))
    if not with_events:
        return
    events: list[Any] = []
    for call, call_events in batch:
        for event in call_events:
            event.call_id = call.pk
        events += call_events
    CallEvent.objects.bulk_create(events, batch_size=5000)
