"""Defect: only the first Reason header is read, and not if it has other parameters.

Upstream: `_recvResponse` in `sippy/UacStateTrying.py` and `UacStateRinging.py` and
`_disconnectFromRequest` in `sippy/UaStateGeneric.py` take the first one, and `sippy/SipReason.py`
fails at parameters except `cause` and `text`. A message may have one for each protocol (RFC 3326).
"""

from __future__ import annotations

from typing import Any

from sippy.SipHeader import SipHeader
from sippy.SipReason import SipReason
from sippy.UA import UA

from .. import causes


class ReasonHeaders(UA):  # type: ignore[misc]
    """Replaces all Reason headers of a message with the one of Q.850, if any."""

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        _keep_q850(resp)
        return super().recvResponse(resp, tr)

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        _keep_q850(req)
        return super().recvRequest(req, sip_t)


def _keep_q850(message: Any) -> None:
    if lines := [header.body.body for header in message.getHFs("reason")]:
        message.delHFs("reason")
        if (cause := causes.q850_of_reasons(lines)) is not None:
            message.appendHeader(SipHeader(body=SipReason(protocol="Q.850", cause=cause)))
