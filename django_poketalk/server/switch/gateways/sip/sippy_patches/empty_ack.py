"""Defect: an ACK without a body clears the negotiated media.

Upstream: `sippy/UaStateConnected.py`, `recvACK`, sets `UA.rSDP` to None and reports a connection.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA


class EmptyAck(UA):  # type: ignore[misc]
    """Ignores an ACK without a body."""

    def recvACK(self, req: Any) -> None:
        if req.getBody() is not None:
            super().recvACK(req)
