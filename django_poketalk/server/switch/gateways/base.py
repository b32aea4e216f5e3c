"""The contract of a way out to the phones.

The switch makes one object of each kind of gateway and asks it to ring, connect and put down legs.
What happens at the phones comes back as facts about them, in any order and at any time: the call's
machine sorts out what is late or does not matter any more.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..clock import Clock
from ..machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    LegFact,
    Ringing,
    Route,
    Side,
)


@dataclass(frozen=True, slots=True)
class CallKey:
    """A call as this switch has it: its primary key and the fence under which it was claimed."""

    pk: int
    fence: int


@dataclass(frozen=True, slots=True)
class LegKey:
    """One attempt to ring one leg of a call."""

    call: CallKey
    side: Side
    attempt: int


Report = Callable[[CallKey, LegFact], None]


class BaseGateway(abc.ABC):
    """One kind of gateway.

    All methods are called in the switch's event loop and return at once, without waiting for the
    network; facts are reported in that loop too. A gateway that works in a thread of its own passes
    messages (`loop.call_soon_threadsafe`). No fact is reported from within the call that causes it.
    """

    # Whether its phones live on the switch's clock, so that this may run faster than real time.
    simulated: ClassVar[bool] = False

    def __init__(self, clock: Clock, report: Report) -> None:
        self.clock = clock
        self._report = report

    async def open(self) -> None:
        """Get ready; called once, before any leg."""
        return

    async def close(self) -> None:
        """Let go of everything; called once, after all legs."""
        return

    @abc.abstractmethod
    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring `number` through `route`, as a call from `caller`, the other leg's number (both
        digits, country code first). What becomes of it is reported by `ringing`, then `answered` or
        `failed`. An exception counts as a gateway that is down.
        """

    @abc.abstractmethod
    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Connect two answered legs, both its own."""

    @abc.abstractmethod
    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        """Put the leg down, whether it rings or talks; a leg that is over already is left alone."""

    def end_dialog(self, dialog: str, route: Route) -> None:
        """Put down a phone that a switch which is gone had called, by what was reported with its
        answer. What is over already is left alone.
        """
        return

    def watch(self, routes: Iterable[Route]) -> None:
        """See whether these gateways are up; called every few seconds with all that are active."""
        return

    def ringing(self, leg: LegKey) -> None:
        """Report that the phone rings."""
        self._report(leg.call, Ringing(leg.side, leg.attempt))

    def answered(self, leg: LegKey, dialog: str = "") -> None:
        """Report that the phone was picked up; `dialog` is what `end_dialog` needs to know."""
        self._report(leg.call, Answered(leg.side, leg.attempt, dialog))

    def failed(
        self,
        leg: LegKey,
        cause: Cause,
        *,
        transport: bool = False,
        sip_status: int = 0,
        q850: int = 0,
    ) -> None:
        """Report that the phone will not be answered. `transport`: no phone was even reached."""
        fact = Failed(leg.side, leg.attempt, cause, transport, sip_status, q850)
        self._report(leg.call, fact)

    def hung_up(
        self, leg: LegKey, cause: Cause = Cause.NORMAL, *, sip_status: int = 0, q850: int = 0
    ) -> None:
        """Report that the person put the phone down."""
        self._report(leg.call, HungUp(leg.side, leg.attempt, cause, sip_status, q850))
