"""Counters and histograms of a switch, for `/metrics`: by leg, call status, `Cause` and the kind of
an endpoint's response; never by customer or phone number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from django_poketalk.protocol.codes import HTTP_HANG_UP, CallStatus

from ..delivery.sender import Delivery
from ..machine.facts_and_commands import Cause, Side

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class Histogram:
    """Durations: `counts` up to each of `BOUNDS` (seconds), and above the last."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class Stats:
    """The numbers of one switch since it started."""

    def __init__(self) -> None:
        self.claims = 0
        self.dialed: Counter[Side] = Counter()
        self.ended: Counter[tuple[CallStatus, Cause]] = Counter()
        self.answers: Counter[str] = Counter()
        self.recovered = 0
        self.lost = 0
        self.queue_wait = Histogram()
        self.event_lag = Histogram()
        self.delivery = Histogram()
        self.write = Histogram()

    def count_claim(self, waited: float) -> None:
        """Count a claimed call, and the seconds it was queued."""
        self.claims += 1
        self.queue_wait.add(waited)

    def count_delivery(self, delivery: Delivery) -> None:
        """Count an event that was sent."""
        if not delivery.is_sent:
            self.answers["not_sent"] += 1
            return
        self.answers[_answer_label(delivery.answer)] += 1
        self.event_lag.add(delivery.lag)
        self.delivery.add(delivery.seconds)


def _answer_label(answer: int | None) -> str:
    """`none`, `412`, or the class of the status code, such as `2xx`."""
    if answer is None:
        return "none"
    if answer == HTTP_HANG_UP:
        return str(HTTP_HANG_UP)
    return f"{min(max(answer // 100, 1), 5)}xx"
