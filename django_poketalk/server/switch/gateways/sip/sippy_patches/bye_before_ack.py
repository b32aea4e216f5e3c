"""Defect: a BYE that immediately follows a 200 is sent before the ACK.

Upstream: `sippy/SipTransactionManager.py`, `incomingResponse`, calls the dialog before it
sends the ACK. RFC 3261, 15, allows a BYE only in a confirmed dialog.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sippy.Time.Timeout import Timeout
from sippy.UA import UA


class ByeAfterAck(UA):  # type: ignore[misc]
    """Delays a BYE until the response has been handled."""

    _in_response = False

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        self._in_response = True
        try:
            return super().recvResponse(resp, tr)
        finally:
            self._in_response = False

    def newTransaction(self, req: Any, req_extra_headers: Any = None, **kwargs: Any) -> Any:
        """Send a request; None for a BYE that is delayed."""
        send = partial(super().newTransaction, req, req_extra_headers=req_extra_headers, **kwargs)
        if req.getMethod() == "BYE" and self._in_response:
            Timeout(send, 0)
            return None
        return send()
