"""Takes messages from trunks only, before they are parsed. Only used in the SIP thread.

A dialog's other end need not be the trunk, because a phone may send requests to our Contact
directly. Such a message is taken if it belongs to one of our dialogs: nobody can guess a Call-ID.
"""

from __future__ import annotations

import re
import time
from typing import Any

from sippy.SipTransactionManager import SipTransactionManager

from django_poketalk.shared.logs import get_logger

logger = get_logger(__name__)

CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
HEAD = 4096  # bytes in which the Call-ID is searched
INTERVAL = 60.0  # seconds at least between two lines about strangers


class TrunksOnly(SipTransactionManager):  # type: ignore[misc]
    """Ignores strangers. `trunks` are the trunks' addresses, and `ending` the Call-IDs of another
    process's dialogs in which we have sent a BYE.
    """

    trunks: frozenset[str] = frozenset()
    ending: set[str]
    _ignored = 0
    _logged_at = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ending = set()
        super().__init__(*args, **kwargs)

    def handleIncoming(self, data_in: bytes, ra: Any, server: Any, rtime: Any) -> None:
        if ra.address[0] in self.trunks or self._is_ours(data_in):
            super().handleIncoming(data_in, ra, server, rtime)
        else:
            self._ignore(ra)

    def _is_ours(self, data: bytes) -> bool:
        found = CALL_ID.search(data, 0, HEAD)
        if found is None:
            return False
        call_id = found[1].decode("ascii", "replace")
        return call_id in self.req_consumers or call_id in self.ending

    def _ignore(self, source: Any) -> None:
        self._ignored += 1
        if (now := time.monotonic()) >= self._logged_at + INTERVAL:
            logger.warning(
                "Ignored a message from %s, which is not the address of a trunk. Ignored since the "
                "last such line: %d.",
                source,
                self._ignored,
            )
            self._ignored, self._logged_at = 0, now
