"""SIP responses as causes of the switch and of ISDN (ITU-T Q.850), by RFC 3398, section 7.2.4.1."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed

from ..base import LegKey

Q850 = range(1, 128)  # seven bits
NORMAL_CLEARING = 16

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
Q850_REASON = re.compile(r"\s*Q\.850\s*;(?:.*;)?\s*cause\s*=\s*(\d+)\s*(?:;|$)", re.IGNORECASE)

OUT_OF_SERVICE = 503
RETRY_AFTER = re.compile(r"\s*([0-9]{1,9})\b", re.ASCII)

# SIP status → our cause and the Q.850 cause
RESPONSES: dict[int, tuple[Cause, int]] = {
    **dict.fromkeys((300, 301, 302, 305, 380), (Cause.FORWARDED, 23)),
    400: (Cause.REJECTED, 41),
    401: (Cause.REJECTED, 21),
    402: (Cause.REJECTED, 21),
    403: (Cause.REJECTED, 21),
    404: (Cause.UNALLOCATED, 1),
    405: (Cause.REJECTED, 63),
    406: (Cause.REJECTED, 79),
    407: (Cause.REJECTED, 21),
    408: (Cause.GATEWAY_DOWN, 102),
    410: (Cause.UNALLOCATED, 22),
    480: (Cause.NO_ANSWER, 18),
    481: (Cause.REJECTED, 41),
    482: (Cause.REJECTED, 25),
    483: (Cause.REJECTED, 25),
    484: (Cause.UNALLOCATED, 28),
    485: (Cause.UNALLOCATED, 1),
    486: (Cause.BUSY, 17),
    487: (Cause.NO_ANSWER, 19),
    488: (Cause.REJECTED, 65),
    500: (Cause.GATEWAY_DOWN, 41),
    501: (Cause.REJECTED, 79),
    502: (Cause.GATEWAY_DOWN, 38),
    503: (Cause.GATEWAY_DOWN, 41),
    504: (Cause.GATEWAY_DOWN, 102),
    600: (Cause.BUSY, 17),
    603: (Cause.DECLINED, 21),
    604: (Cause.UNALLOCATED, 1),
    606: (Cause.REJECTED, 58),
}


def failed(
    leg: LegKey, status: int, q850: int | None = None, *, transport: bool, retry_after: int = 0
) -> Failed:
    """The fact that a leg ended with this SIP status before it was answered. `q850`: the cause in
    the peer's Reason header, if any. `transport`: another gateway can be tried. `retry_after`: the
    seconds in the peer's Retry-After header.
    """
    if q850 is None:
        q850 = q850_of(status)
    return Failed(leg.side, leg.attempt, cause_of(status), transport, status, q850, retry_after)


def cause_of(status: int) -> Cause:
    """The switch's cause for a SIP status."""
    return RESPONSES.get(status, (Cause.REJECTED, 0))[0]


def q850_of(status: int) -> int:
    """The Q.850 cause for a SIP status."""
    return RESPONSES.get(status, (Cause.REJECTED, 127))[1]


def q850_of_reasons(lines: Iterable[str]) -> int | None:
    """The Q.850 cause in the values of Reason headers (RFC 3326); None without one."""
    for line in lines:
        for reason in QUOTED.sub("", line).split(","):
            if (found := Q850_REASON.match(reason)) and int(found[1]) in Q850:
                return int(found[1])
    return None


def retry_after(status: int, lines: Iterable[str]) -> int:
    """The seconds in the values of Retry-After headers; 0 unless the status says that the trunk
    itself is overloaded (RFC 3261, 21.5.4): after others, it is about the callee.
    """
    found = [RETRY_AFTER.match(line) for line in lines if status == OUT_OF_SERVICE]
    return max((int(seconds[1]) for seconds in found if seconds), default=0)


def hangup_status(cause: Cause) -> int:
    """The SIP cause for the Reason header when we hang up (RFC 3326)."""
    return {Cause.NO_ANSWER: 480, Cause.BUSY: 486, Cause.DECLINED: 603}.get(cause, 200)
