"""Simulated phones. The last two digits of a number choose what its phone does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from django_poketalk.shared.logs import get_logger

from ..clock import Clock
from ..machine.facts_and_commands import Answered, Cause, Failed, HungUp, LegFact, Ringing, Route
from .base import BaseGateway, LegKey, Report

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Phone:
    """The behavior of a phone that is called. Times are call seconds.

    The phone is answered after `answers_after` and hangs up `talks` later (None: never), or it
    fails with the cause `fails` after `fails_after`. If both are None, it rings until the switch
    hangs up. `reached`: whether its gateway is up.
    """

    rings: bool = True
    answers_after: float | None = 3
    talks: float | None = None
    fails: Cause | None = None
    fails_after: float = 0
    reached: bool = True


ORDINARY = Phone()
PHONES = {
    "01": Phone(rings=False, answers_after=None, fails=Cause.BUSY),
    "02": Phone(answers_after=None),
    "03": Phone(answers_after=None, fails=Cause.DECLINED, fails_after=2),
    "04": Phone(rings=False, answers_after=None, fails=Cause.GATEWAY_DOWN, reached=False),
    "05": Phone(rings=False, answers_after=None, fails=Cause.UNALLOCATED),
    "06": Phone(talks=2),
    "10": Phone(talks=5),
    **{f"1{tens}": Phone(talks=tens * 10) for tens in range(1, 10)},
    "20": Phone(rings=False, answers_after=0),
    "21": Phone(answers_after=15),
}


def phone(number: str) -> Phone:
    """The phone behind a number (digits)."""
    return PHONES.get(number[-2:], ORDINARY)


class SimulatedGateway(BaseGateway):
    """Rings simulated phones, on the switch's clock. Its gateways are always up."""

    simulated = True

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._timers: dict[LegKey, list[asyncio.TimerHandle]] = {}

    async def close(self) -> None:
        for leg in list(self._timers):
            self._stop(leg)

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Schedule everything that the phone will do."""
        called = phone(number)
        timers = self._timers[leg] = []
        later = self.clock.call_later
        if called.rings:
            ringing = Ringing(leg.side, leg.attempt)
            timers.append(later(0, partial(self.report, leg.call, ringing)))
        if called.fails is not None:
            fact = Failed(leg.side, leg.attempt, called.fails, transport=not called.reached)
            timers.append(later(called.fails_after, partial(self._end, leg, fact)))
        if called.answers_after is not None:
            timers.append(later(called.answers_after, partial(self._answer, leg, called.talks)))

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Simulated phones have no media."""

    def problem(self, route: Route) -> str:
        return ""

    def dial_extension(self, leg_b: LegKey, digits: str) -> None:
        if leg_b in self._timers:
            logger.info("A simulated phone was sent the extension %s.", "•" * len(digits))

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self._stop(leg)

    def _answer(self, leg: LegKey, talks: float | None) -> None:
        if talks is not None:
            hang_up = partial(self._end, leg, HungUp(leg.side, leg.attempt))
            self._timers[leg].append(self.clock.call_later(talks, hang_up))
        self.report(leg.call, Answered(leg.side, leg.attempt))

    def _end(self, leg: LegKey, fact: LegFact) -> None:
        self._stop(leg)
        self.report(leg.call, fact)

    def _stop(self, leg: LegKey) -> None:
        for timer in self._timers.pop(leg, []):
            timer.cancel()
