"""Whether a SIP trunk is up, as far as this switch knows."""

from __future__ import annotations

from dataclasses import dataclass

from django_poketalk.server.routing.trunk import SipTrunk

DOWN_AFTER = 2  # failed probes in a row
FAILURES = (408, 503)  # no response; out of service (RFC 3261, 21.5.4)


@dataclass(slots=True)
class TrunkHealth:
    """The probes of one trunk. Times are seconds of the switch's clock."""

    up: bool = True
    _failures: int = 0
    _probed_at: float = float("-inf")

    def probe_due(self, now: float, trunk: SipTrunk) -> bool:
        """Whether to probe the trunk now. If so, the next is due `keep_alive` seconds later."""
        if not trunk.keep_alive or now < self._probed_at + trunk.keep_alive:
            return False
        self._probed_at = now
        return True

    def record(self, status: int) -> bool:
        """Record the response to a probe. Return whether that changes `up`."""
        self._failures = self._failures + 1 if status in FAILURES else 0
        was_up, self.up = self.up, self._failures < DOWN_AFTER
        return self.up is not was_up
