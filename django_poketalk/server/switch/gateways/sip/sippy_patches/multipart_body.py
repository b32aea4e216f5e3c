"""Defect: a multipart body, or one of another type, is handled as SDP.

Upstream: `sippy/UacStateTrying.py`, `UacStateUpdating.py` and `UaStateConnected.py`
(`recvResponse`, `_recvRequestInvite`, `recvACK`) use `getBody()` without checking its type, and
`sippy/MsgBody.py`, `getCopy`, assumes SDP. Trunks that forward ISUP send SDP as one part of
`multipart/mixed`.
"""

from __future__ import annotations

from typing import Any

from sippy.MsgBody import MsgBody
from sippy.UA import UA

from .. import sdp


class MultipartBody(UA):  # type: ignore[misc]
    """Keeps only the session description of a body."""

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        if resp.getHFBody("cseq").getCSeq()[1] == "INVITE":
            _keep_description(resp)
        return super().recvResponse(resp, tr)

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        if req.getMethod() in ("INVITE", "UPDATE"):
            _keep_description(req)
        return super().recvRequest(req, sip_t)

    def recvACK(self, req: Any) -> None:
        _keep_description(req)
        super().recvACK(req)


def _keep_description(message: Any) -> None:
    body = message.getBody()
    if body is not None and body.getType() != sdp.TYPE:
        description = sdp.within(str(body.mtype), str(body))
        message.setBody(None if description is None else MsgBody(description))
