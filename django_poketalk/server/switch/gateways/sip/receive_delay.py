"""How long messages wait until the SIP thread reads them: whether the switch keeps up."""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_bytes

LOST = 5.0  # seconds after which a probe was dropped: the receive buffer is full


class ReceiveDelay:
    """The delay of a port's messages, measured by datagrams that the port sends to itself.

    `send` sends one. `take` is called in the SIP thread, `probe` in one that is not late with it.
    """

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._probe = b""
        self._sent_at: float | None = None  # while a probe is on its way
        self._last: float | None = None

    def probe(self) -> None:
        """Send a probe, unless the last one is still on its way."""
        now = time.monotonic()
        if self._sent_at is not None:
            if now - self._sent_at < LOST:
                return
            self._last = None if self._last is None else LOST
        self._probe, self._sent_at = token_bytes(16), now
        self._send(self._probe)

    def take(self, data: bytes) -> bool:
        """Whether the datagram is the probe."""
        if self._sent_at is None or data != self._probe:
            return False
        self._last, self._sent_at = time.monotonic() - self._sent_at, None
        return True

    @property
    def seconds(self) -> float:
        """The delay; 0 as long as no probe has arrived, since a firewall may drop all of them. Any
        thread may ask.
        """
        last, sent_at = self._last, self._sent_at
        if last is None:
            return 0.0
        return last if sent_at is None else max(last, time.monotonic() - sent_at)
