"""Defect: each reading of the clock releases Python's GIL twice, and waits to get it back.

Upstream: `sippy/Time/clock_dtime.py`, `clock_getdtime`, which calls `clock_gettime` by ctypes;
`sippy/Time/MonoTime.py` calls it for each message and timer.
"""

from __future__ import annotations

import time

from sippy.Time import MonoTime

CLOCKS = {MonoTime.CLOCK_MONOTONIC: time.monotonic, MonoTime.CLOCK_REALTIME: time.time}


def _clock_getdtime(clock: int) -> float:
    return CLOCKS[clock]()


def install() -> None:
    """Use Python's own clocks, which keep the GIL."""
    MonoTime.clock_getdtime = _clock_getdtime
