"""Forgets old numbers while the switch runs, so slowly that its calls do not notice."""

from __future__ import annotations

import asyncio
import time

from .. import retention
from .database_threads import DatabaseThreads

FORGET = 600.0  # seconds between two rounds
LONGEST_ROUND = 5.0  # seconds; the next round continues
PAUSE = 0.25  # seconds between two batches


async def forget_old_numbers(threads: DatabaseThreads) -> None:
    """Forget one round's numbers."""
    last, deadline = 0, time.monotonic() + LONGEST_ROUND
    while time.monotonic() < deadline:
        found = await threads.run(retention.forget_batch, last)
        if found is None:
            return
        last = found
        await asyncio.sleep(PAUSE)
