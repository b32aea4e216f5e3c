"""Defect: one header line that cannot be read costs the whole message.

Upstream: `sippy/SipMsg.py`, `SipMsg.__init__`, fails at a line without a colon, and headers are
parsed where they are used, at last in the middle of handling a request. A Contact such as `*` fails
in `updateRoutes` of `sippy/UacStateTrying.py`. The answer 400 to a truncated body is not sent:
`handleIncoming` in `sippy/SipTransactionManager.py` calls `SipParseError.getResponse` without the
request.
"""

from __future__ import annotations

from typing import Any

from sippy import SipMsg
from sippy.ESipHeaderCSV import ESipHeaderCSV
from sippy.ESipHeaderIgnore import ESipHeaderIgnore
from sippy.Exceptions.SipParseError import SipParseError
from sippy.SipContact import SipContact
from sippy.SipHeader import SipHeader
from sippy.SipReason import SipReason
from sippy.SipRecordRoute import SipRecordRoute

# Without these, a message cannot be answered (RFC 3261, 8.1.1).
REQUIRED = {"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"}


class ReadableHeader(SipHeader):  # type: ignore[misc]
    """A header of a received message; one that cannot be read is left out, unless it is required.

    `ESipHeaderCSV`: a line with several values. Those that can be read remain.
    """

    def __init__(self, s: str | None = None, *args: Any, **kwargs: Any) -> None:
        if s is not None and ":" not in s:
            raise ESipHeaderIgnore
        try:
            super().__init__(s, *args, **kwargs)
        except ESipHeaderCSV as several:
            if several.name not in REQUIRED:
                several.bodys = [
                    body
                    for body in several.bodys
                    if _is_readable(SipHeader(name=several.name, bodys=body))
                ]
            raise
        if self.name in REQUIRED:
            self.getBody()  # an error now, not later
        elif s is not None and not _is_readable(self):
            raise ESipHeaderIgnore


def _is_readable(header: SipHeader) -> bool:
    if isinstance(header.body, SipReason):  # `reason_headers` reads it
        return True
    try:
        if isinstance(header.body, SipRecordRoute):
            header.body.getCopy().parse()  # a response repeats it as it was received
            return True
        body = header.getBody()
        if isinstance(body, SipContact):
            body.getUrl().getTAddr()
    except Exception:  # sippy raises all kinds of errors
        return False
    return True


def install() -> None:
    """Read headers with this class, and send the answers of errors."""
    SipMsg.SipHeader = ReadableHeader
    SipParseError.getResponse = lambda error, request=None: error.sip_response
