"""Whether a switch's own loops go round: what keeps calls served, seen from inside."""

from __future__ import annotations

import enum
import time

SLOW = 15.0  # seconds beyond its pause that a round may take


class State(enum.StrEnum):
    """What a switch does."""

    SERVING = "serving"
    DRAINING = "draining"
    ENDING = "ending"


class Watchdog:
    """When each of the switch's loops last did its work, database and all."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def turned(self, loop: str, pause: float = 0.0) -> None:
        """It has done its work, and rests for `pause` seconds; or it begins."""
        self._due[loop] = time.monotonic() + pause + SLOW

    def ended(self, loop: str) -> None:
        """It is over, as it should be."""
        self._due.pop(loop, None)

    @property
    def late(self) -> list[str]:
        """The loops that should have done their work by now."""
        now = time.monotonic()
        return sorted(loop for loop, due in self._due.items() if now > due)
