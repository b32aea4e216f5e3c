"""Whether a SIP trunk is up, as far as one switch knows."""

from __future__ import annotations

from dataclasses import dataclass

from django_poketalk.server.routing.trunk import SipTrunk

DOWN_AFTER = 2  # probes in a row without an answer


@dataclass(slots=True)
class Health:
    """Times are seconds of the switch's clock."""

    up: bool = True
    _missed: int = 0
    _probed: float = float("-inf")

    def probe_due(self, now: float, trunk: SipTrunk) -> bool:
        """Whether to ask the trunk now, and if so, remember that it was."""
        if not trunk.keep_alive or now < self._probed + trunk.keep_alive:
            return False
        self._probed = now
        return True

    def answered(self, status: int) -> bool:
        """Take the response to a probe; whether that changes what we think of the trunk.

        Any answer but 408 (none came) and 503 (out of service, RFC 3261) says that it lives.
        """
        self._missed = self._missed + 1 if status in (408, 503) else 0
        before, self.up = self.up, self._missed < DOWN_AFTER
        return self.up is not before
