"""Signals that a project can connect to. Receivers run after the transaction commits. If one raises
an exception, the others still run.

- `call_requested(call)`: the call was requested. Not sent if `request_call` returns an earlier one.
- `placement_changed(call, placement, previous)`: the `Placement` of the request changed.
- `status_changed(call, event)`: the call moved to a later status. `event` is the
  `protocol.eventurl.Event` that reported it.
- `hang_up_requested(call, user)`: somebody asked to end the call, or canceled it before it was
  sent. `user` is None if the code that did so named nobody.
- `call_vetoed(call, reason)`: an event was answered with 412 for the first time.
- `call_ended(call)`: the call is no longer open: it ended, timed out, or did not take place
  (refused, canceled, expired, not allowed, service unreachable). `call.state` says which.
- `wrapped_up(call, wrap_up, user)`: somebody saved the call's wrap-up: its result or its note.
  `call.follow_up` is the call back that follows, if there is one.
- `callback_due(call_back)`: the time of a call back has come. Sent once for each time that is set.

`sender` is `CallRequest`, and `CallBack` for `callback_due`. A receiver can be called twice for one
change if two processes receive an event at the same moment. `call_ended` is also sent again if a
call that had timed out, or that a person resolved, ends later.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal

call_requested = Signal()
placement_changed = Signal()
status_changed = Signal()
hang_up_requested = Signal()
call_vetoed = Signal()
call_ended = Signal()
wrapped_up = Signal()
callback_due = Signal()


def announce(signal: Signal, sender: type, **facts: Any) -> None:
    """Send `signal` after the current transaction commits. Django logs errors of receivers."""
    if signal.has_listeners(sender):
        transaction.on_commit(lambda: signal.send_robust(sender, **facts), robust=True)
