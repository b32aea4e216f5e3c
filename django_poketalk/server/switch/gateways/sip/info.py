"""Sends digits in a dialog, by SIP INFO with `application/dtmf-relay`. Only used in the SIP thread.

One request for each digit, each after the response to the last one, so that none overtakes another.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sippy.MsgBody import MsgBody
from sippy.SipContentType import SipContentType
from sippy.Time.Timeout import Timeout

from django_poketalk.shared.logs import get_logger

from ..digits import timed
from .leg import SipLeg

logger = get_logger(__name__)

DURATION = 160  # milliseconds that each digit lasts
BETWEEN = 0.1  # seconds between a response and the next digit
PENDING = 491  # while the phone waits for the answer to an offer, as in a re-INVITE
AFTER_PENDING = 1.0  # seconds until the digit is sent again
TIMES_PENDING = 5


class DigitSender:
    """Begins at once, and stops when a digit is refused or the leg ends. A digit that meets a
    pending offer is sent again.
    """

    def __init__(self, leg: SipLeg, digits: str) -> None:
        self._leg = leg
        self._digits = timed(digits)
        self._refused = 0  # how often the digit was refused because of a pending offer
        self._send_next()

    def _send_next(self) -> None:
        if self._digits:
            pause, digit = self._digits.pop(0)
            Timeout(self._send, BETWEEN + pause, 1, digit)

    def _send(self, digit: str) -> None:
        if self._leg.ended:
            return
        kind = SipContentType("application/dtmf-relay")
        kind.parse()
        body = MsgBody(f"Signal={digit}\r\nDuration={DURATION}\r\n", kind)
        agent = self._leg.agent
        agent.newTransaction(
            agent.genRequest("INFO", body), resp_cb=partial(self._on_response, digit)
        )

    def _on_response(self, digit: str, response: Any) -> None:
        status, reason = response.getSCode()
        if status < 200 or self._leg.ended:
            return
        if status < 300:
            self._refused = 0
            self._send_next()
        elif status == PENDING and self._refused < TIMES_PENDING:
            self._refused += 1
            Timeout(self._send, AFTER_PENDING, 1, digit)
        else:
            logger.warning("The extension was not dialed: INFO: %d %s.", status, reason)
