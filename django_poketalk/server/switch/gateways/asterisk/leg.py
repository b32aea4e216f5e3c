"""One attempt to ring one phone through Asterisk: the state of its channel."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    Ringing,
)

from ..base import LegKey, Report
from . import causes


class AsteriskLeg:
    """Reports each fact once, and the end once: `Failed` before the answer, `HungUp` after it.

    `requested`: the request for its channel has been sent. `exists`: a response or an event has
    confirmed the channel. `is_created_first`: the channel is created, and dialed once it is in
    Stasis (`is_dialed`), so that it can be bridged before the answer. `is_given_up`: we hang up,
    because its gateway makes no progress. `has_dialplan`: a dialplan dials the phone. `dialed`: the
    channels that it is dialing, and `dialed_end` the event of the last one to end. `on_end` is
    called when the leg has ended, before the report.
    """

    def __init__(
        self,
        key: LegKey,
        channel: str,
        ring_timeout: int,
        report: Report,
        on_end: Callable[[AsteriskLeg], None],
    ) -> None:
        self.key = key
        self.channel = channel
        self.ring_timeout = ring_timeout  # seconds
        self.is_created_first = self.is_dialed = self.is_given_up = False
        self.failover_codes: Collection[int] = ()  # SIP statuses
        self.requested = False
        self.exists = False
        self.ended = False
        self.dial_status = ""  # of the last `Dial` event
        self.has_dialplan = False
        self.dialed: set[str] = set()
        self.dialed_end: dict[str, Any] | None = None
        self._ringing = False
        self.is_answered = False
        self._report = report
        self._on_end = on_end

    def ring(self) -> bool:
        """The phone rings. Return whether this is news."""
        is_new = not self._ringing and not self.is_answered
        if is_new:
            self._ringing = True
            self._report(self.key.call, Ringing(self.key.side, self.key.attempt))
        return is_new

    @property
    def has_progress(self) -> bool:
        """Whether the network has found the phone."""
        return self._ringing or self.is_answered

    def answer(self) -> None:
        """The phone is answered."""
        if not self.is_answered:
            self.is_answered = True
            self._report(self.key.call, Answered(self.key.side, self.key.attempt))

    def destroyed(self, event: dict[str, Any]) -> None:
        """Asterisk has destroyed the channel: the person hung up, or could not be reached."""
        if self.dialed_end and not (self.dialed or self.is_answered):
            event = self.dialed_end  # a dialplan removes or replaces the cause
        cause = event.get("cause")
        q850 = cause if isinstance(cause, int) and 0 <= cause <= 127 else 0
        status = causes.sip_status(event.get("tech_cause"))
        if self.is_answered:
            self.hung_up(Cause.NORMAL, status, q850)
        elif self.is_given_up:
            self.fail(Cause.GATEWAY_DOWN, transport=True)
        else:
            fact = causes.failed(self.key, q850, status, self.dial_status, has_rung=self._ringing)
            if status:  # it says more than Asterisk's Q.850 cause
                fact = replace(fact, transport=status in self.failover_codes)
            self._fail(fact)

    def end_with(self, cause: Cause) -> None:
        """End the leg in any state, without a cause of Asterisk."""
        if self.is_answered:
            self.hung_up(cause)
        else:
            self.fail(cause)

    def vanished(self) -> None:
        """The channel has ended; when and why is unknown."""
        self.end_with(Cause.GATEWAY_DOWN)

    def fail(self, cause: Cause, transport: bool = False) -> None:
        """End the leg before it was answered, without a cause of Asterisk."""
        self._fail(Failed(self.key.side, self.key.attempt, cause, transport))

    def _fail(self, fact: Failed) -> None:
        if not self.ended:
            self.end()
            self._report(self.key.call, fact)

    def hung_up(self, cause: Cause, sip_status: int = 0, q850: int = 0) -> None:
        """End the leg after it was answered."""
        self.end()
        side, attempt = self.key.side, self.key.attempt
        self._report(self.key.call, HungUp(side, attempt, cause, sip_status, q850))

    def end(self) -> None:
        """End the leg without a report: the switch has hung up."""
        self.ended = True
        self._on_end(self)
