"""Phones that exist only here. The last two digits of a number choose what its phone does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from ..clock import Clock
from ..machine.facts_and_commands import Cause, Route
from .base import BaseGateway, LegKey, Report


@dataclass(frozen=True, slots=True)
class Phone:
    """What a phone does when it is called. Times are call seconds.

    It rings, unless it is not `reached`. Then it is answered `answers_after` seconds later and put
    down when it has talked for `talks` (None: it stays on), or its call fails for `fails` after
    `fails_after`. Neither: it rings until the switch gives up.
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
    """Rings simulated phones, on the switch's clock."""

    simulated = True

    def __init__(self, clock: Clock, report: Report) -> None:
        super().__init__(clock, report)
        self._timers: dict[LegKey, list[asyncio.TimerHandle]] = {}

    async def close(self) -> None:
        """Let all phones fall silent."""
        for leg in list(self._timers):
            self._stop(leg)

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Plan all that the phone will do."""
        called = phone(number)
        timers = self._timers[leg] = []
        later = self.clock.call_later
        if called.rings:
            timers.append(later(0, partial(self.ringing, leg)))
        if called.fails is not None:
            timers.append(later(called.fails_after, partial(self._fail, leg, called)))
        if called.answers_after is not None:
            timers.append(later(called.answers_after, partial(self._pick_up, leg, called)))

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Simulated phones have nothing to say to each other."""

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        """The phone does nothing any more."""
        self._stop(leg)

    def _fail(self, leg: LegKey, called: Phone) -> None:
        self._stop(leg)
        self.failed(leg, called.fails or Cause.NO_ANSWER, transport=not called.reached)

    def _pick_up(self, leg: LegKey, called: Phone) -> None:
        if called.talks is not None:
            end = self.clock.call_later(called.talks, partial(self._put_down, leg))
            self._timers[leg].append(end)
        self.answered(leg)

    def _put_down(self, leg: LegKey) -> None:
        self._stop(leg)
        self.hung_up(leg)

    def _stop(self, leg: LegKey) -> None:
        for timer in self._timers.pop(leg, []):
            timer.cancel()
