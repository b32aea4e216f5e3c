"""Signals that a project can connect to. Receivers run after the transaction commits. If one raises
an exception, the others still run.

- `placement_changed(call, placement, previous)`: the `Placement` of the request changed.
- `status_changed(call, event)`: the call moved to a later status. `event` is the
  `protocol.eventurl.Event` that reported it.
- `call_vetoed(call, reason)`: an event was answered with 412 for the first time.

`sender` is always `CallRequest`. A receiver can be called twice for one change if two processes
receive an event at the same moment.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal

placement_changed = Signal()
status_changed = Signal()
call_vetoed = Signal()


def announce(signal: Signal, sender: type, **facts: Any) -> None:
    """Send `signal` after the current transaction commits. Django logs errors of receivers."""
    if signal.has_listeners(sender):
        transaction.on_commit(lambda: signal.send_robust(sender, **facts), robust=True)
