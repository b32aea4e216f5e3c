"""Signals that a project can connect to.

- `balance_low(account)`: the account's balance fell below its `low_balance_at`. Sent once by a
  switch, after the commit, within seconds; again only after the balance was back and fell again.

`sender` is `Account`. If a receiver raises an exception, Django logs it, and the others still run.
"""

from __future__ import annotations

from django.dispatch import Signal

balance_low = Signal()
