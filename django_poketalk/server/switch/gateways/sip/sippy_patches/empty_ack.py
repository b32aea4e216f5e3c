"""Defect: an ACK without a body clears the media that were agreed.

Upstream: `sippy/UaStateConnected.py`, `recvACK`, sets `UA.rSDP` to None and reports a connection.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA


class EmptyAck(UA):  # type: ignore[misc]
    """Ignores it."""

    def recvACK(self, req: Any) -> None:
        """Take an ACK."""
        if req.getBody() is not None:
            super().recvACK(req)
