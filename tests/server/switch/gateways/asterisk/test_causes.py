"""The causes of phones that were not reached, as Asterisk reports them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_poketalk.server.switch.gateways.asterisk import causes
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed, Side

from .fake_switch import A

GUIDE = Path(__file__).parents[5] / "docs/howto/asterisk.md"

CHANUNAVAIL, BUSY, CONGESTION, NOANSWER = "CHANUNAVAIL", "BUSY", "CONGESTION", "NOANSWER"


def test_the_guide_lists_each_cause() -> None:
    documented = {}
    for named, cause, tries_next in re.findall(
        r"^\| ([0-9][^|]*) \| `(\w+)` \| (yes|no)\b.* \|$", GUIDE.read_text(), re.MULTILINE
    ):
        for q850 in re.findall(r"\b[0-9]+\b", named):
            documented[int(q850)] = cause, tries_next == "yes"

    assert len(documented) > 20
    for q850 in range(128):
        fact = causes.failed(A, q850)
        found = fact.cause.value, fact.transport
        assert found == documented.get(q850, ("rejected", False)), q850


@pytest.mark.parametrize(
    ("dial_status", "expected"),
    [
        (BUSY, Failed(Side.A, 1, Cause.BUSY, False, 0, 17)),
        (NOANSWER, Failed(Side.A, 1, Cause.NO_ANSWER, False, 0, 19)),
        (CONGESTION, Failed(Side.A, 1, Cause.GATEWAY_DOWN, True, 0, 34)),
        (CHANUNAVAIL, Failed(Side.A, 1, Cause.UNREACHABLE, True, 0, 3)),
        ("RINGING", Failed(Side.A, 1, Cause.NO_ANSWER, False, 0, 0)),
    ],
)
def test_the_dial_gives_the_cause_that_a_dialplan_has_removed(
    dial_status: str, expected: Failed
) -> None:
    assert causes.failed(A, 0, 0, dial_status) == expected
    with_cause = causes.failed(A, 1, 404, dial_status)
    assert with_cause == Failed(Side.A, 1, Cause.UNALLOCATED, False, 404, 1)


def test_congestion_of_a_dialplan_after_ringing_is_not_the_gateway() -> None:
    """FreePBX plays congestion too when the callee declines."""
    fact = causes.failed(A, 0, 0, CONGESTION, has_rung=True)
    assert (fact.cause, fact.q850) == (Cause.REJECTED, 34)
    assert causes.failed(A, 34, 503, CONGESTION, has_rung=True).cause is Cause.GATEWAY_DOWN


@pytest.mark.parametrize(
    ("sip_status", "has_rung", "cause"),
    [
        (603, True, Cause.DECLINED),
        (603, False, Cause.DECLINED),
        (403, True, Cause.REJECTED),
        (403, False, Cause.REJECTED),
        (0, True, Cause.DECLINED),  # behind a dialplan, there is no SIP status
        (0, False, Cause.REJECTED),
    ],
)
def test_a_refusal_by_the_callee_is_told_apart_from_the_network(
    sip_status: int, has_rung: bool, cause: Cause
) -> None:
    assert causes.failed(A, 21, sip_status, NOANSWER, has_rung=has_rung).cause is cause
