"""The contract of a gateway: a way to reach phones.

The switch creates one object for each kind of gateway, and calls it to originate, bridge and hang
up legs. The gateway reports facts about the legs, in any order and at any time; the call's machine
ignores facts that come too late.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..clock import Clock
from ..machine.facts_and_commands import Cause, LegFact, Route, Side


@dataclass(frozen=True, slots=True)
class CallKey:
    """A call on this switch: its primary key, and the fence under which it was claimed."""

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
    network. A gateway calls `report` with each fact, also in that loop; from a thread of its own,
    it uses `loop.call_soon_threadsafe`. It reports `Ringing` at most once for a leg, then
    `Answered` or `Failed`, then `HungUp` if the person hangs up. A method never calls `report`
    itself: facts are reported after it has returned.
    """

    # Whether its phones follow the switch's clock, which may run faster than real time.
    simulated: ClassVar[bool] = False

    def __init__(self, clock: Clock, report: Report) -> None:
        self.clock = clock
        self.report = report

    async def open(self) -> None:
        """Get ready; called once, before any leg."""
        return

    async def close(self) -> None:
        """Release everything; called once, after all legs."""
        return

    @abc.abstractmethod
    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        """Ring `number` through `route`, as a call from `caller`, the other leg's number (both
        digits, country code first). An exception counts as a gateway that is down.
        """

    @abc.abstractmethod
    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Connect two answered legs, both on this gateway."""

    @abc.abstractmethod
    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        """Hang up a leg that rings or is answered. Does nothing for a leg that has ended."""

    def dial_extension(self, leg_b: LegKey, digits: str) -> None:
        """Send digits as DTMF to leg B's phone, which has answered and been bridged. `w` is a pause
        of half a second, `,` of two. A failure is logged, and the call goes on.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot dial an extension.")

    def dialog_of(self, leg: LegKey) -> str:
        """The data that another switch needs to hang up a leg that has been originated; "" if it is
        not known before `Answered`.
        """
        return ""

    def end_dialog(self, dialog: str, route: Route) -> None:
        """Hang up a leg that another switch, now gone, has originated. `dialog` comes from its
        `dialog_of` or `Answered`. Does nothing for a leg that has ended.
        """
        return

    def problem(self, route: Route) -> str | None:
        """Why this gateway is down, in a few words; "" if it is up; None if nobody knows."""
        return None

    @property
    def delay(self) -> float:
        """How many seconds facts wait before they are reported: whether the gateway keeps up."""
        return 0.0

    def watch(self, routes: Iterable[Route]) -> None:
        """Check whether these gateways are up. Called every second with all active ones."""
        return
