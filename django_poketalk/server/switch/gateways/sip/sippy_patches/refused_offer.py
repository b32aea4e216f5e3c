"""Defect: a re-INVITE that the peer refuses clears the negotiated media.

Upstream: `sippy/UacStateUpdating.py`, `recvResponse`, sets `UA.lSDP` to None, and the next offer
then fails in `sippy/UaStateConnected.py`, `_recvEventUpdate`. RFC 3261, 14.1: the session
continues as if no re-INVITE had been sent.
"""

from __future__ import annotations

from typing import Any

from sippy.CCEvents import CCEventUpdate
from sippy.UA import UA
from sippy.UaStateConnected import UaStateConnected


class RefusedOffer(UA):  # type: ignore[misc]
    """Restores the description from before the offer."""

    lSDP: Any
    _agreed: Any = None

    def recvEvent(self, event: Any) -> None:
        """Handle an event; before an offer, keep the negotiated description."""
        if isinstance(event, CCEventUpdate) and type(self.state) is UaStateConnected:
            self._agreed = self.lSDP
        super().recvEvent(event)

    def changeState(self, newstate: Any) -> None:
        """Change the state; after a refused offer, restore the negotiated description."""
        if newstate[0] is UaStateConnected and self.lSDP is None:
            self.lSDP = self._agreed
        super().changeState(newstate)
