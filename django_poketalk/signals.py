"""What a project can listen to. Receivers run after commit, and one that fails harms nobody else.

- `placement_changed(call, placement, previous)`: our asking moved on, from one `Placement` to
  another.
- `status_changed(call, event)`: the call moved to a later status; `event` is the
  `protocol.eventurl.Event` that said so.
- `call_vetoed(call, reason)`: we answered 412 for the first time.

`sender` is always `CallRequest`. A receiver can be called twice for one change if two processes are
told at the same instant.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal

placement_changed = Signal()
status_changed = Signal()
call_vetoed = Signal()


def announce(signal: Signal, sender: type, **facts: Any) -> None:
    """Send `signal` once the current transaction has committed; errors of receivers are logged by
    Django.
    """
    if signal.has_listeners(sender):
        transaction.on_commit(lambda: signal.send_robust(sender, **facts), robust=True)
