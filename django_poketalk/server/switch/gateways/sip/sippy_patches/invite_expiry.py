"""Defect: the Expires of an INVITE is always 300 seconds, and its transaction ends then.

Upstream: `sippy/SipRequest.py`, `SipRequest.__init__`, sets the header; `newTransaction` in
`sippy/SipTransactionManager.py` waits no longer than that for the response. So a phone rings for
five minutes when the switch dies, and a 487 that answers a CANCEL at that time gets no ACK.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA

CANCEL_TIMEOUT = 32  # seconds for the 487 that follows a CANCEL (RFC 3261, 9.1: 64 × T1)


class InviteExpiry(UA):  # type: ignore[misc]
    """Expires after `ring_timeout` seconds, and waits a while longer for the response."""

    ring_timeout = 300

    def genRequest(self, *args: Any, **kwargs: Any) -> Any:
        """Create a request; an INVITE has an Expires of `ring_timeout`."""
        request = super().genRequest(*args, **kwargs)
        if request.getMethod() == "INVITE":
            request.getHFBody("expires").number = self.ring_timeout
        return request

    def newTransaction(self, req: Any, req_extra_headers: Any = None, **kwargs: Any) -> Any:
        transaction = super().newTransaction(req, req_extra_headers=req_extra_headers, **kwargs)
        if req.getMethod() == "INVITE":
            transaction.expires = self.ring_timeout + CANCEL_TIMEOUT
        return transaction
