"""Defect: an ACK takes its destination and route from the response that it acknowledges.

Upstream: `sippy/SipTransactionManager.py`, `incomingResponse`, reads Contact and Record-Route of
every final response. The ACK of a refusal goes where the INVITE went (RFC 3261, 17.1.1.3). That of
a re-INVITE follows the dialog's route, which proxies need not repeat (12.2).
"""

from __future__ import annotations

from typing import Any

from sippy.SipTransactionManager import SipTransactionManager


class AckRoute(SipTransactionManager):  # type: ignore[misc]
    """Keeps the route of an INVITE for its ACK."""

    def newTransaction(self, msg: Any, *args: Any, **kwargs: Any) -> Any:
        transaction = super().newTransaction(msg, *args, **kwargs)
        transaction.in_dialog = msg.getHFBody("to").getTag() is not None
        transaction.routes = msg.getHFs("route")
        return transaction

    def incomingResponse(self, msg: Any, t: Any, checksum: bytes) -> None:
        is_refusal = msg.getSCode()[0] >= 300
        if is_refusal:
            msg.delHFs("contact")
        if is_refusal or t.in_dialog:
            msg.delHFs("record-route")
        t.keeps_route = is_refusal or bool(t.in_dialog and t.routes)
        super().incomingResponse(msg, t, checksum)

    def transmitReq(self, t: Any, msg: Any, address: Any, *args: Any, **kwargs: Any) -> None:
        """Send an ACK."""
        if t.keeps_route:
            msg.appendHeaders([header.getCopy() for header in t.routes])
            address = t.address
        super().transmitReq(t, msg, address, *args, **kwargs)
