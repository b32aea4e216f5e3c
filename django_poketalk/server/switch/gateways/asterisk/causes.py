"""Q.850 causes of Asterisk's channels as causes of the switch, and the reverse. Pure."""

from __future__ import annotations

from django_poketalk.server.switch.machine.facts_and_commands import Cause

DECLINE = 603  # SIP; Asterisk maps it to the same Q.850 cause as refusals by the network

# Q.850 cause → the switch's, for a phone that was not answered
CAUSES: dict[int, Cause] = {
    0: Cause.NO_ANSWER,  # none: it rang until the timeout that we set in Asterisk
    1: Cause.UNALLOCATED,
    2: Cause.UNALLOCATED,
    3: Cause.UNALLOCATED,
    16: Cause.NO_ANSWER,
    17: Cause.BUSY,
    18: Cause.NO_ANSWER,
    19: Cause.NO_ANSWER,
    20: Cause.NO_ANSWER,
    21: Cause.REJECTED,
    22: Cause.UNALLOCATED,
    26: Cause.NO_ANSWER,
    27: Cause.GATEWAY_DOWN,
    28: Cause.UNALLOCATED,
    31: Cause.NO_ANSWER,
    34: Cause.GATEWAY_DOWN,
    38: Cause.GATEWAY_DOWN,
    41: Cause.GATEWAY_DOWN,
    42: Cause.GATEWAY_DOWN,
    44: Cause.GATEWAY_DOWN,
    47: Cause.GATEWAY_DOWN,
    102: Cause.GATEWAY_DOWN,
}


def cause_of(q850: int, sip_status: int = 0) -> Cause:
    """The switch's cause for a channel that ended before it was answered."""
    if sip_status == DECLINE:
        return Cause.DECLINED
    return CAUSES.get(q850, Cause.REJECTED)


def is_transport(q850: int) -> bool:
    """Whether the gateway failed and not the phone, so that another gateway may be tried."""
    return CAUSES.get(q850) is Cause.GATEWAY_DOWN


def sip_status(tech_cause: object) -> int:
    """The SIP status in `tech_cause`, which newer versions of Asterisk send; else 0."""
    if isinstance(tech_cause, int) and 300 <= tech_cause <= 699:
        return tech_cause
    return 0


def hangup_reason(cause: Cause) -> str:
    """The reason for ARI when we hang up; every version accepts these."""
    return {Cause.BUSY: "busy", Cause.NO_ANSWER: "no_answer", Cause.GATEWAY_DOWN: "congestion"}.get(
        cause, "normal"
    )
