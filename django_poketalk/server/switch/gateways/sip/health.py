"""Whether a SIP trunk is up, as far as this switch knows."""

from __future__ import annotations

from dataclasses import dataclass

from django_poketalk.server.routing.trunk import SipTrunk

from .causes import OUT_OF_SERVICE

DOWN_AFTER = 2  # failed probes in a row
NO_RESPONSE = 408
LONGEST_RETRY_AFTER = 300  # seconds; a trunk that says more is asked again earlier
LEAST_TIMEOUT = 1.0  # seconds for the response to a probe


def probe_timeout(trunk: SipTrunk) -> float:
    """Seconds to wait for the response to a probe: two that fail fit into half of the interval, so
    that a dead trunk is found within two intervals.
    """
    return max(LEAST_TIMEOUT, trunk.keep_alive / 4)


def problem_of(status: int) -> str:
    """What the response to a probe says against the trunk, or "". Any other response is a sign of
    life.
    """
    if status == NO_RESPONSE:
        return "no response to OPTIONS"
    return f"SIP {status} to OPTIONS" if status == OUT_OF_SERVICE else ""


@dataclass(slots=True)
class TrunkHealth:
    """The probes of one trunk. `problem` is why it is down, "", or None before the first result.

    Times are seconds of the switch's clock.
    """

    problem: str | None = None
    _failures: int = 0
    _probed_at: float = float("-inf")
    _retry_at: float = float("-inf")

    def probe_due(self, now: float, trunk: SipTrunk) -> bool:
        """Whether to probe the trunk now. If so, the next is due `keep_alive` seconds later."""
        if not trunk.keep_alive or now < self._probed_at + trunk.keep_alive:
            return False
        self._probed_at = now
        return True

    def pass_over(self, seconds: int, now: float) -> None:
        """Do not use the trunk for so long, as it has asked in Retry-After."""
        self._retry_at = max(self._retry_at, now + min(seconds, LONGEST_RETRY_AFTER))

    def is_passed_over(self, now: float) -> bool:
        """Whether the trunk has asked not to be used yet."""
        return now < self._retry_at

    def record(self, problem: str) -> bool:
        """Record a probe that found this problem, or "". Return whether it went up or down."""
        self._failures = self._failures + 1 if problem else 0
        was_up = not self.problem
        if not problem or self._failures >= DOWN_AFTER:
            self.problem = problem
        return was_up == bool(self.problem)
