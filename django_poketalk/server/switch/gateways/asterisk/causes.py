"""Q.850 causes of Asterisk's channels as causes of the switch, and the reverse. Pure."""

from __future__ import annotations

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed

from ..base import LegKey

DECLINE = 603  # SIP; Asterisk maps it to the same Q.850 cause as refusals by the network
NO_ROUTE, REFUSED = 3, 21  # Q.850

# The result of a `Dial` → the Q.850 cause that it stands for. The channel itself has none if a
# dialplan has played a tone after its own `Dial`.
DIAL_STATUSES = {"BUSY": 17, "NOANSWER": 19, "CONGESTION": 34, "CHANUNAVAIL": NO_ROUTE}

# Q.850 cause → the switch's, for a phone that was not answered
CAUSES: dict[int, Cause] = {
    0: Cause.NO_ANSWER,
    1: Cause.UNALLOCATED,
    2: Cause.UNALLOCATED,
    3: Cause.UNREACHABLE,
    16: Cause.NO_ANSWER,
    17: Cause.BUSY,
    18: Cause.NO_ANSWER,
    19: Cause.NO_ANSWER,
    20: Cause.UNREACHABLE,
    21: Cause.REJECTED,
    22: Cause.UNALLOCATED,
    23: Cause.FORWARDED,
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


def failed(
    leg: LegKey, q850: int, sip_status: int = 0, dial_status: str = "", *, has_rung: bool = False
) -> Failed:
    """The fact that a channel ended before it was answered, with the Q.850 cause and the SIP status
    of its end, 0 for none, and the last status of its `Dial`.
    """
    is_from_dialplan, q850 = not q850, q850 or DIAL_STATUSES.get(dial_status, 0)
    cause = CAUSES.get(q850, Cause.REJECTED)
    is_transport = cause is Cause.GATEWAY_DOWN or q850 == NO_ROUTE
    if sip_status == DECLINE or (q850 == REFUSED and has_rung and not sip_status):
        cause = Cause.DECLINED
    elif is_from_dialplan and has_rung and is_transport:
        cause = Cause.REJECTED  # the dialplan's answer to everything but a busy phone
    return Failed(leg.side, leg.attempt, cause, is_transport, sip_status, q850)


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
