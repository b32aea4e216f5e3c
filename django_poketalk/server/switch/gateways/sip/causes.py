"""SIP responses as causes of the switch and of ISDN (ITU-T Q.850), by RFC 3398, section 7.2.4.1."""

from __future__ import annotations

from django_poketalk.server.switch.machine.facts_and_commands import Cause

Q850 = range(1, 128)  # seven bits
NORMAL_CLEARING = 16

# SIP status → our cause and Q.850's
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

# Another gateway may know better: nothing was said about the number or its owner.
TRY_NEXT = frozenset({408, 500, 502, 503, 504})


def cause_of(status: int) -> Cause:
    """Our word for why a SIP status ends an attempt."""
    return RESPONSES.get(status, (Cause.REJECTED, 0))[0]


def q850_of(status: int, reason: int | None = None) -> int:
    """The Q.850 cause: as the peer gave it in its Reason header (RFC 3326), else by the status."""
    return reason if reason is not None else RESPONSES.get(status, (Cause.REJECTED, 127))[1]


def hangup_status(cause: Cause) -> int:
    """The SIP cause that a Reason header gives for what we end ourselves (RFC 3326)."""
    return {Cause.NO_ANSWER: 480, Cause.BUSY: 486, Cause.DECLINED: 603}.get(cause, 200)
