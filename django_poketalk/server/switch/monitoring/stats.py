"""What a switch counts of itself, for `/metrics`. Plain numbers, cheap to add to; no label has more
values than the protocol and the causes have, and none names a customer or a number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from django_poketalk.protocol.codes import CallStatus

from ..delivery.sender import Delivery
from ..machine.facts_and_commands import Cause, Side

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class Histogram:
    """How often something took how long: `counts` up to each of `BOUNDS` (seconds), and beyond."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class Stats:
    """The numbers of one switch, from its start on."""

    def __init__(self) -> None:
        self.claims = 0
        self.dials: Counter[Side] = Counter()
        self.ends: Counter[tuple[CallStatus, Cause]] = Counter()
        self.answers: Counter[str] = Counter()
        self.recovered = 0
        self.lost = 0
        self.queue_wait = Histogram()
        self.event_lag = Histogram()
        self.delivery = Histogram()
        self.write = Histogram()

    def claimed(self, waited: float) -> None:
        """A call was taken, so many seconds after it was asked for."""
        self.claims += 1
        self.queue_wait.add(waited)

    def dialled(self, side: Side) -> None:
        """A phone is rung."""
        self.dials[side] += 1

    def ended(self, status: CallStatus, cause: Cause) -> None:
        """A call is over."""
        self.ends[status, cause] += 1

    def delivered(self, delivery: Delivery) -> None:
        """An event was sent."""
        self.answers[_kind(delivery.answer)] += 1
        self.event_lag.add(delivery.lag)
        self.delivery.add(delivery.seconds)


def _kind(answer: int | None) -> str:
    """`none`, `412`, or the answer's hundred: `2xx`."""
    if answer is None:
        return "none"
    return "412" if answer == 412 else f"{min(max(answer // 100, 1), 5)}xx"
