"""The response codes and call statuses of the protocol (`docs/reference/protocol.md`)."""

from __future__ import annotations

import enum
import re

HTTP_HANG_UP = 412  # the response to an event that ends the call


class ResponseCode(enum.StrEnum):
    """The service's response to a request for a call, as the text of the body. 80 is reserved and
    never sent.
    """

    OK = "00"
    EMPTY_API_KEY = "10"
    EMPTY_FROM = "20"
    EMPTY_TO = "30"
    UNKNOWN_API_USER = "40"
    NO_SERVICE_PROVIDER = "50"
    BLACKLISTED = "60"
    NO_GATEWAY = "70"
    NO_TIMEOUT = "90"
    UNKNOWN_ADDRESS = "100"

    @property
    def meaning(self) -> str:
        """A short explanation for people, in English. Translate it with `gettext`."""
        return _MEANINGS[self]

    @classmethod
    def read(cls, body: bytes) -> ResponseCode | None:
        """The code in the body of a response, or None if the body is not clearly a code.

        Accepts white space around the code, a byte order mark, a missing leading zero, and text
        after the code: white space, then a word. With anything else after it, the code is unclear.
        """
        match = _BODY.match(body)
        if match is None:
            return None
        code = match[1].decode("ascii")
        return next((member for member in cls if member.value in (code, code.zfill(2))), None)


_BODY = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*([0-9]{1,3})(?:[ \t\r\n]+[A-Za-z]|[ \t\r\n]*\Z)")


def _(text: str) -> str:
    """Mark a text for the message catalogs. This module does not import Django to translate it."""
    return text


_MEANINGS = {
    ResponseCode.OK: _("The call was accepted."),
    ResponseCode.EMPTY_API_KEY: _("The API key is missing."),
    ResponseCode.EMPTY_FROM: _("The caller's number is missing."),
    ResponseCode.EMPTY_TO: _("The callee's number is missing."),
    ResponseCode.UNKNOWN_API_USER: _("The API key is unknown."),
    ResponseCode.NO_SERVICE_PROVIDER: _("The account has no active service provider."),
    ResponseCode.BLACKLISTED: _("One of the numbers is blacklisted by the service."),
    ResponseCode.NO_GATEWAY: _("The service cannot reach one of the numbers."),
    ResponseCode.NO_TIMEOUT: _("There is no rate for the call, or not enough credit."),
    ResponseCode.UNKNOWN_ADDRESS: _("The API key must not be used from this address."),
}


class CallStatus(enum.IntEnum):
    """The progress of a call. Leg A is the caller's phone, leg B the callee's."""

    UNKNOWN = 0
    A_INITIATED = 1
    A_FAILED = 2
    A_ANSWERED = 3
    A_DISCONNECTED = 4
    B_INITIATED = 5
    B_FAILED = 6
    B_ANSWERED = 7
    AB_DISCONNECTED = 8

    @property
    def is_final(self) -> bool:
        """Whether the call has ended."""
        return self in _FINAL

    @property
    def rank(self) -> int:
        """The position in a total order, in which every final status is above all others.

        A call's rank only rises. If you keep the higher of two statuses, the result does not depend
        on the order of the events, or on repeated ones.
        """
        return _BY_RANK.index(self)

    @property
    def lower(self) -> tuple[CallStatus, ...]:
        """The statuses of lower rank, which this one replaces."""
        return _BY_RANK[: self.rank]

    def merge(self, other: CallStatus | None) -> CallStatus:
        """The status with the higher rank. None ranks below all."""
        return self if other is None else max(self, other, key=lambda status: status.rank)


_BY_RANK = tuple(CallStatus(value) for value in (0, 1, 3, 5, 7, 2, 4, 6, 8))
_FINAL = frozenset(_BY_RANK[5:])
