"""The state of a switch, for monitors."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .gateway_states import GatewayView
from .stats import Stats

DATABASE_TIMEOUT = 8.0  # seconds without a response of the database; a heartbeat is every five


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
    gateways: list[GatewayView]
    database_seen: float = 0.0  # seconds since the database last responded

    @property
    def problems(self) -> list[str]:
        """The reasons why the switch does not serve calls: its state, unless `serving`; `database`;
        `lease_lapsed`; `down:` and each kind whose gateways are all down; `stuck:` and the name of
        each loop that has not finished in time.
        """
        found = [] if self.state is State.SERVING else [self.state.value]
        if self.lease_left <= 0:
            found.append("lease_lapsed")
        if self.database_seen > DATABASE_TIMEOUT:
            found.append("database")
        working = {gateway.kind for gateway in self.gateways if gateway.is_up}
        down = sorted({gateway.kind for gateway in self.gateways} - working)
        found += [f"down:{kind}" for kind in down]
        return found + [f"stuck:{loop}" for loop in self.late_loops]
