"""The session of a dialog (RFC 4028): how long it lasts without a refresh, and who sends it. Pure.

All times are seconds of `time.monotonic()`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

INTERVAL = 1800  # seconds that our requests propose (RFC 4028, 4)
MIN_INTERVAL = 90  # seconds, the least that RFC 4028 allows (5)

INTERVAL_VALUE = re.compile(r"\s*([0-9]{1,9})\b", re.ASCII)
REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Session:
    """A session that was last refreshed at `refreshed`, and lasts for `interval` seconds."""

    interval: int
    is_refresher: bool
    """Whether we refresh it, or the peer does."""
    refreshed: float

    @property
    def refresh_at(self) -> float:
        """When to refresh it (RFC 4028, 7.2); never, if the peer does."""
        return self.refreshed + self.interval / 2 if self.is_refresher else float("inf")

    @property
    def lost_at(self) -> float:
        """When it has not been refreshed in time (RFC 4028, 10): by the peer, or by us, because the
        peer has refused that each time.
        """
        if self.is_refresher:
            return self.refreshed + self.interval
        return self.refreshed + self.interval - min(32, self.interval / 3)


def interval_of(value: str) -> int:
    """The seconds in the value of a Session-Expires or Min-SE header; 0 if it cannot be read."""
    found = INTERVAL_VALUE.match(value)
    return int(found[1]) if found else 0


def refresher_of(value: str) -> str:
    """`uac`, `uas` or "" in the value of a Session-Expires header."""
    found = REFRESHER.search(value)
    return found[1].lower() if found else ""
