"""Defect: every Contact header has the display name "Anonymous".

Upstream: `sippy/SipContact.py`, `SipContact.__init__`, as used by `sippy/UacStateIdle.py`
(`recvEvent`).
"""

from __future__ import annotations

from typing import Any

from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipURL import SipURL
from sippy.UA import UA


class ContactName(UA):  # type: ignore[misc]
    """Sends a Contact without a name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lContact = SipContact(address=SipAddress(url=SipURL(), hadbrace=True))
