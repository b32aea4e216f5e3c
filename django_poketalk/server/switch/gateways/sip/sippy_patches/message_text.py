"""Defect: sippy counts characters instead of bytes, and fails on text that is not UTF-8.

Upstream: `sippy/SipTransactionManager.py`, `SipTransactionManager.handleIncoming`, decodes the
datagram before `sippy/SipMsg.py` cuts the body by Content-Length, which counts bytes (RFC 3261,
20.14).
"""

from __future__ import annotations

from typing import Any

from sippy.SipTransactionManager import SipTransactionManager


class MessageText(SipTransactionManager):  # type: ignore[misc]
    """Decodes each byte to one character; calls need only ASCII."""

    def handleIncoming(self, data_in: Any, ra: Any, server: Any, rtime: Any) -> None:
        """Replace each byte that is not ASCII with a question mark."""
        text = data_in.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
        super().handleIncoming(text, ra, server, rtime)
