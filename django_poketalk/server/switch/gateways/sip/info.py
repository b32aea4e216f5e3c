"""Sends digits in a dialog, by SIP INFO with `application/dtmf-relay`. Only used in the SIP thread.

One request for each digit, each after the response to the last one, so that none overtakes another.
"""

from __future__ import annotations

import logging
from typing import Any

from sippy.MsgBody import MsgBody
from sippy.SipContentType import SipContentType
from sippy.Time.Timeout import Timeout

from ..digits import timed
from .leg import SipLeg
from .sippy_patches.bye_challenge import CHALLENGES

logger = logging.getLogger(__name__)

DURATION = 160  # milliseconds that each digit lasts
BETWEEN = 0.1  # seconds between a response and the next digit


class DigitSender:
    """Begins at once, and stops when a digit is refused or the leg ends."""

    def __init__(self, leg: SipLeg, digits: str) -> None:
        self._leg = leg
        self._digits = timed(digits)
        self._tried_credentials = False
        self._send_next()

    def _send_next(self) -> None:
        if self._digits:
            pause, digit = self._digits.pop(0)
            Timeout(self._send, BETWEEN + pause, 1, digit)

    def _send(self, digit: str, credentials: Any = None) -> None:
        if self._leg.ended:
            return
        kind = SipContentType("application/dtmf-relay")
        kind.parse()
        body = MsgBody(f"Signal={digit}\r\nDuration={DURATION}\r\n", kind)
        agent = self._leg.agent
        request = agent.genRequest("INFO", body, credentials)
        agent.newTransaction(request, resp_cb=lambda answer: self._on_response(answer, digit))

    def _on_response(self, response: Any, digit: str) -> None:
        status, reason = response.getSCode()
        if status < 200 or self._leg.ended:
            return
        if status < 300:
            self._tried_credentials = False
            self._send_next()
        elif (credentials := self._credentials(response)) is not None:
            self._tried_credentials = True
            self._send(digit, credentials)
        else:
            logger.warning("The extension was not dialed: INFO: %d %s.", status, reason)

    def _credentials(self, response: Any) -> Any:
        """The challenge to answer, once for each digit, or None."""
        header = CHALLENGES.get(response.getSCode()[0])
        if header is None or self._leg.agent.username is None or self._tried_credentials:
            return None
        for challenge in response.getHFBodys(header):
            supported, qop = challenge.supportedAlgorithm()
            if supported:
                return challenge, qop
        return None
