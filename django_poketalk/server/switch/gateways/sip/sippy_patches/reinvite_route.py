"""Defect: the ACK of a re-INVITE takes its route from the response, not from the dialog.

Upstream: `sippy/SipTransactionManager.py`, `incomingResponse`, reads Record-Route, which proxies
need not repeat within a dialog: the route set is fixed by then (RFC 3261, 12.2).
"""

from __future__ import annotations

from typing import Any

from sippy.SipHeader import SipHeader
from sippy.UA import UA


class ReinviteRoute(UA):  # type: ignore[misc]
    """Sets the dialog's route in each response to a re-INVITE."""

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        if self.isConnected() and tr.needack and self.routes:
            resp.delHFs("record-route")
            resp.appendHeaders(
                [SipHeader(name="record-route", body=r.getCopy()) for r in reversed(self.routes)]
            )
        return super().recvResponse(resp, tr)
