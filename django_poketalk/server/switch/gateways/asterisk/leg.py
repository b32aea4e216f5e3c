"""One attempt to ring one phone through Asterisk: the state of its channel."""

from __future__ import annotations

from collections.abc import Callable
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
    confirmed the channel. `on_end` is called when the leg has ended, before the report.
    """

    def __init__(
        self, key: LegKey, channel: str, report: Report, on_end: Callable[[AsteriskLeg], None]
    ) -> None:
        self.key = key
        self.channel = channel
        self.requested = False
        self.exists = False
        self.ended = False
        self._ringing = False
        self._answered = False
        self._report = report
        self._on_end = on_end

    def ring(self) -> None:
        """The phone rings."""
        if not self._ringing and not self._answered:
            self._ringing = True
            self._report(self.key.call, Ringing(self.key.side, self.key.attempt))

    def answer(self) -> None:
        """The phone is answered."""
        if not self._answered:
            self._answered = True
            self._report(self.key.call, Answered(self.key.side, self.key.attempt, self.channel))

    def destroyed(self, event: dict[str, Any]) -> None:
        """Asterisk has destroyed the channel: the person hung up, or could not be reached."""
        cause = event.get("cause")
        q850 = cause if isinstance(cause, int) and 0 <= cause <= 127 else 0
        status = causes.sip_status(event.get("tech_cause"))
        if self._answered:
            self.hung_up(Cause.NORMAL, status, q850)
        else:
            is_transport = causes.is_transport(q850)
            self.fail(causes.cause_of(q850, status), is_transport, status, q850)

    def vanished(self) -> None:
        """The channel has ended; when and why is unknown."""
        if self._answered:
            self.hung_up(Cause.GATEWAY_DOWN)
        else:
            self.fail(Cause.GATEWAY_DOWN)

    def fail(
        self, cause: Cause, transport: bool = False, sip_status: int = 0, q850: int = 0
    ) -> None:
        """End the leg before it was answered."""
        if not self.ended:
            self.end()
            side, attempt = self.key.side, self.key.attempt
            self._report(self.key.call, Failed(side, attempt, cause, transport, sip_status, q850))

    def hung_up(self, cause: Cause, sip_status: int = 0, q850: int = 0) -> None:
        """End the leg after it was answered."""
        self.end()
        side, attempt = self.key.side, self.key.attempt
        self._report(self.key.call, HungUp(side, attempt, cause, sip_status, q850))

    def end(self) -> None:
        """End the leg without a report: the switch has hung up."""
        self.ended = True
        self._on_end(self)
