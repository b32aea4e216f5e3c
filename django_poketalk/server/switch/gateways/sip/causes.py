"""SIP responses as causes of the switch and of ISDN (ITU-T Q.850), by RFC 3398, section 7.2.4.1."""

from __future__ import annotations

from typing import Any

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed

from ..base import LegKey

Q850 = range(1, 128)  # seven bits
NORMAL_CLEARING = 16

# SIP status → our cause and the Q.850 cause
RESPONSES: dict[int, tuple[Cause, int]] = {
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

# After these responses, another gateway may be tried: they do not depend on the number or callee.
TRY_NEXT = frozenset({408, 500, 502, 503, 504})


def failed(leg: LegKey, status: int, q850: int | None = None) -> Failed:
    """The fact that a leg ended with this SIP status before it was answered. `q850`: the cause in
    the peer's Reason header, if any.
    """
    is_transport = status in TRY_NEXT
    if q850 is None:
        q850 = q850_of(status)
    return Failed(leg.side, leg.attempt, cause_of(status), is_transport, status, q850)


def cause_of(status: int) -> Cause:
    """The switch's cause for a SIP status."""
    return RESPONSES.get(status, (Cause.REJECTED, 0))[0]


def q850_of(status: int) -> int:
    """The Q.850 cause for a SIP status."""
    return RESPONSES.get(status, (Cause.REJECTED, 127))[1]


def q850_of_reason(reason: Any) -> int | None:
    """The Q.850 cause in a parsed Reason header (RFC 3326); None without one."""
    if reason is None or (reason.protocol or "").upper() != "Q.850":
        return None
    return reason.cause if reason.cause in Q850 else None


def hangup_status(cause: Cause) -> int:
    """The SIP cause for the Reason header when we hang up (RFC 3326)."""
    return {Cause.NO_ANSWER: 480, Cause.BUSY: 486, Cause.DECLINED: 603}.get(cause, 200)
