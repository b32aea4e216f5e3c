"""Defect: a Contact with `;transport=UDP` or `;transport=tcp` makes all later requests fail.

Upstream: `sippy/UaStateGeneric.py`, `updateRoutes`, copies the parameter into `UA.rAddr`, and
`sippy/SipTransactionManager.py`, `newTransaction`, raises RuntimeError for anything but `udp`.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA


class UdpTransport(UA):  # type: ignore[misc]
    """Sends everything by UDP, the only supported transport."""

    rAddr: Any

    def genRequest(self, *args: Any, **kwargs: Any) -> Any:
        if str(self.rAddr[1]) != "udp":
            self.rAddr = (self.rAddr[0], "udp")
        return super().genRequest(*args, **kwargs)
