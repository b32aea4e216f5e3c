"""The state of a switch, for monitors."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .stats import Stats


class State(enum.StrEnum):
    """The phases of a switch."""

    SERVING = "serving"
    DRAINING = "draining"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A switch at one moment. `lease_left` is in seconds, below 0 when the lease has lapsed."""

    state: State
    calls: int
    lease_left: float
    listening: bool
    writes_waiting: int
    late_loops: list[str]
    stats: Stats

    @property
    def problems(self) -> list[str]:
        """The reasons why the switch does not serve calls: its state, unless `serving`;
        `lease_lapsed`; `stuck:` and the name of each loop that has not finished in time, for
        example because the database is down.
        """
        found = [] if self.state is State.SERVING else [self.state.value]
        if self.lease_left <= 0:
            found.append("lease_lapsed")
        return found + [f"stuck:{loop}" for loop in self.late_loops]
