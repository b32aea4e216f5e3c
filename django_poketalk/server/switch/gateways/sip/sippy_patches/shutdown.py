"""Defect: after a shutdown, the transaction manager's timers still run, and fail.

Upstream: `sippy/SipTransactionManager.py`, `SipTransactionManager.shutdown`, forgets its
transactions without canceling their timers, and `unregConsumer` fails for dialogs that end later.
"""

from __future__ import annotations

from typing import Any

from sippy.SipTransactionManager import SipTransactionManager

TIMERS = ("teA", "teB", "teC", "teD", "teE", "teF", "teG")


class CleanShutdown(SipTransactionManager):  # type: ignore[misc]
    """Cancels its timers, and lets dialogs end at any time."""

    def shutdown(self) -> None:
        """Cancel all timers, then close the port."""
        for transaction in (*self.tclient.values(), *self.tserver.values()):
            for name in TIMERS:
                if (timer := getattr(transaction, name, None)) is not None:
                    timer.cancel()
        super().shutdown()

    def unregConsumer(self, consumer: Any, call_id: str) -> None:
        """Forget a dialog, unless all are forgotten already."""
        if self.req_consumers is not None:
            super().unregConsumer(consumer, call_id)
