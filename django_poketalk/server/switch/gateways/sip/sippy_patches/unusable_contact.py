"""Defect: a Contact that is not an address, such as `*`, causes an error, and the call stays up.

Upstream: `sippy/UaStateGeneric.py`, `updateRoutes`, and `sippy/SipTransactionManager.py`,
`incomingResponse`, which read the header's URL without a check.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA


class UnusableContact(UA):  # type: ignore[misc]
    """Ignores such a Contact: requests keep their previous destination."""

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        _drop_unusable_contact(resp)
        return super().recvResponse(resp, tr)

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        _drop_unusable_contact(req)
        return super().recvRequest(req, sip_t)


def _drop_unusable_contact(message: Any) -> None:
    try:
        for contact in message.getHFBodys("contact"):
            contact.getUrl().getTAddr()
    except Exception:  # sippy raises all kinds of errors
        message.delHFs("contact")
