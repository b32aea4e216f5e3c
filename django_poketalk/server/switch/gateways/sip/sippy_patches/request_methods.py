"""Defect: UPDATE, MESSAGE and other methods within a dialog get no answer.

Upstream: `sippy/UaStateConnected.py`, `recv_request_handlers`, has five methods, and
`sippy/UaStateGeneric.py`, `recvRequest`, drops the rest. A peer that refreshes its session by
UPDATE (RFC 4028) then ends the call.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA

NOT_IMPLEMENTED = ("NOTIFY", "MESSAGE", "PUBLISH", "SUBSCRIBE")


class RequestMethods(UA):  # type: ignore[misc]
    """Accepts an UPDATE without an offer, and declines other requests."""

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        method = req.getMethod()
        if method not in ("UPDATE", *NOT_IMPLEMENTED) or not self.is_next(req):
            return super().recvRequest(req, sip_t)
        self.rCSeq = req.getHFBody("cseq").getCSeqNum()
        if method != "UPDATE":
            status = (501, "Not Implemented")
        elif req.getBody() is None:
            status = (200, "OK")
        else:
            status = (488, "Not Acceptable Here")
        return (req.genResponse(*status, server=self.local_ua), None, None)

    def is_next(self, req: Any) -> bool:
        """Whether a request belongs to the dialog and is newer than the last one."""
        if self.state is None:
            return False
        return self.rCSeq is None or self.rCSeq < req.getHFBody("cseq").getCSeqNum()
