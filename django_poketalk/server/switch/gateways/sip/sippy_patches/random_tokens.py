"""Defect: each tag, branch and Call-ID is a system call, which releases Python's GIL.

Upstream: `token_hex` as imported by `sippy/UA.py` (`UA.__init__`), `sippy/SipCallId.py`,
`sippy/SipFrom.py` (`genTag`) and `sippy/SipVia.py` (`genBranch`).
"""

from __future__ import annotations

import os

from sippy import UA, SipCallId, SipFrom, SipVia

CHUNK = 4096  # random bytes read at once


class RandomTokens:
    """Random bytes of the system, each used once. For one thread."""

    def __init__(self) -> None:
        self._unused = b""

    def token_hex(self, count: int) -> str:
        """`count` random bytes as hexadecimal digits."""
        if len(self._unused) < count:
            self._unused = os.urandom(CHUNK)
        token, self._unused = self._unused[:count], self._unused[count:]
        return token.hex()


def install() -> None:
    """Read random bytes in large chunks."""
    tokens = RandomTokens()
    for module in (UA, SipCallId, SipFrom, SipVia):
        module.token_hex = tokens.token_hex
