"""Defect: a re-INVITE without an offer puts the call on hold.

Upstream: `sippy/UaStateConnected.py`, `_recvRequestInvite`, invents an offer with the address
0.0.0.0. The peer expects our offer, which its ACK answers (RFC 3261, 14.2). Session timers send
such re-INVITEs.
"""

from __future__ import annotations

from typing import Any

from sippy.UaStateConnected import UaStateConnected

from .request_methods import RequestMethods


class ReinviteWithoutOffer(RequestMethods):
    """Offers the negotiated media."""

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        is_reinvite = req.getMethod() == "INVITE" and type(self.state) is UaStateConnected
        if not is_reinvite or req.getBody() is not None or not self.is_next(req):
            return super().recvRequest(req, sip_t)
        self.rCSeq = req.getHFBody("cseq").getCSeqNum()
        self.uasResp = req.genResponse(100, "Trying", server=self.local_ua)
        self.sendUasResponse(200, "OK", self.lSDP, (self.lContact,), ack_wait=True)
        return (None, None, None)
