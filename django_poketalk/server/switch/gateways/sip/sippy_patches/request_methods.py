"""Defect: UPDATE, PRACK and unknown methods within a dialog get no answer.

Upstream: `recv_request_handlers` in `sippy/UaStateConnected.py`, `UacStateUpdating.py` and
`UasStateUpdating.py` have two to five methods, and `sippy/UaStateGeneric.py`, `recvRequest`, drops
the rest. A peer that refreshes its session by UPDATE (RFC 4028) then ends the call. Before the
answer, `isYours` in `sippy/UA.py` takes none. An ACK that crosses our re-INVITE fails, and the
answer in it is lost.
"""

from __future__ import annotations

import random
from typing import Any

from sippy.SipAllow import SipAllow
from sippy.SipHeader import SipHeader
from sippy.UA import UA
from sippy.UacStateTrying import UacStateTrying
from sippy.UacStateUpdating import UacStateUpdating
from sippy.UasStateUpdating import UasStateUpdating
from sippy.UaStateConnected import UaStateConnected

from .. import sdp

RETRY_AFTER = 10  # seconds, at most (RFC 3311, 5.2)
METHODS = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "REFER"]


class RequestMethods(UA):  # type: ignore[misc]
    """Accepts an UPDATE that offers no other media, and declines what sippy does not handle."""

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        method = req.getMethod()
        if self._is_early:
            return (self._early_response(req), None, None)
        if not self.is_next(req) or method in self.state.recv_request_handlers:
            return super().recvRequest(req, sip_t)
        if not self.isConnected() and method == "BYE":  # both have hung up
            return super().recvRequest(req, sip_t)
        self.rCSeq = req.getHFBody("cseq").getCSeqNum()
        if not self.isConnected():
            status = (481, "Call/Transaction Does Not Exist")
        elif method != "UPDATE":
            return (not_allowed(req, self.local_ua), None, None)
        elif req.getBody() is None:
            status = (200, "OK")
        elif response := self._pending_response(req):
            return (response, None, None)
        elif self._keeps_media(req.getBody()):
            answer = self.lSDP.getCopy()
            return (req.genResponse(200, "OK", answer, self.local_ua), None, None)
        else:
            status = (488, "Not Acceptable Here")
        return (req.genResponse(*status, server=self.local_ua), None, None)

    def _keeps_media(self, offer: Any) -> bool:
        """Whether an offer is the description that is in use, as in a refresh (RFC 3311, 5.2)."""
        if not isinstance(self.state, UaStateConnected) or None in (self.lSDP, self.rSDP):
            return False
        return sdp.same_media(str(offer), str(self.rSDP))

    def _pending_response(self, req: Any) -> Any:
        """The response to an offer in an UPDATE while another offer has no answer; else None. The
        peer tries again (RFC 3311, 5.2).
        """
        if self._has_offered:
            return req.genResponse(491, "Request Pending", server=self.local_ua)
        if self._owes_answer:
            response = req.genResponse(500, "Server Internal Error", server=self.local_ua)
            seconds = random.randint(1, RETRY_AFTER)  # noqa: S311
            response.appendHeader(SipHeader(f"Retry-After: {seconds}"))
            return response
        return None

    @property
    def _has_offered(self) -> bool:
        """Whether our INVITE or re-INVITE contains an offer, and has no final response."""
        is_offer = self._is_early and self.lSDP is not None
        return is_offer or isinstance(self.state, UacStateUpdating)

    @property
    def _owes_answer(self) -> bool:
        """Whether the peer has sent an offer that we must answer, or its 200 will contain one."""
        is_late = self._is_early and self.lSDP is None
        return is_late or self.pending_tr is not None or isinstance(self.state, UasStateUpdating)

    def isYours(self, req: Any = None, *args: Any, **kwargs: Any) -> Any:
        """This dialog, if the request belongs to it; early on, to any phone of a forked INVITE."""
        if req is None or not self._is_early:
            return super().isYours(req, *args, **kwargs)
        is_ours = req.getHFBody("to").getTag() == self.lUri.getTag()
        return self if is_ours and str(req.getHFBody("call-id")) == str(self.cId) else None

    def _early_response(self, req: Any) -> Any:
        """The response to a request before the answer. 481 to it might end the call."""
        method = req.getMethod()
        if method == "UPDATE" and req.getBody() is not None:
            return self._pending_response(req)
        if method in ("OPTIONS", "UPDATE"):
            status = (200, "OK")
        elif method == "BYE":  # not allowed yet (RFC 3261, 15)
            status = (481, "Call/Transaction Does Not Exist")
        else:
            return not_allowed(req, self.local_ua)
        return req.genResponse(*status, server=self.local_ua)

    @property
    def _is_early(self) -> bool:
        return isinstance(self.state, UacStateTrying)

    def is_next(self, req: Any) -> bool:
        """Whether a request belongs to the dialog and is newer than the last one."""
        if self.state is None:
            return False
        return self.rCSeq is None or self.rCSeq < req.getHFBody("cseq").getCSeqNum()


def not_allowed(request: Any, server: str) -> Any:
    """The response 405 to a request, with the methods that are allowed (RFC 3261, 21.4.6)."""
    response = request.genResponse(405, "Method Not Allowed", server=server)
    response.appendHeader(SipHeader(body=SipAllow(methods=METHODS)))
    return response


def install() -> None:
    """Handle what arrives during a re-INVITE as in between."""
    for state in (UacStateUpdating, UasStateUpdating):
        state.recv_request_handlers = {
            **UaStateConnected.recv_request_handlers,
            **state.recv_request_handlers,
        }
        state.recvACK = UaStateConnected.recvACK
