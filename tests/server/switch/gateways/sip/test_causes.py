"""The documentation has the hang-up cause of each SIP status, and the default failover codes."""

from __future__ import annotations

import re
from pathlib import Path

from django_poketalk.server.routing.trunk import FAILOVER_CODES
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.sip import causes
from django_poketalk.server.switch.machine.facts_and_commands import Side

GUIDE = Path(__file__).parents[5] / "docs/howto/sip.md"
STATUSES = range(300, 700)
LEG = LegKey(CallKey(1, 1), Side.A, 1)


def test_each_status_has_the_documented_cause_and_failover() -> None:
    documented: dict[int, tuple[str, bool]] = {}
    for named, cause, tries_next in re.findall(
        r"^\| (.*[0-9].*) \| `(\w+)` \| (yes|no)\b.* \|$", GUIDE.read_text(), re.MULTILINE
    ):
        for status in re.findall(r"\b[3-6][0-9]{2}\b", named):
            documented[int(status)] = cause, tries_next == "yes"

    assert len(documented) > 15
    for status in STATUSES:
        actual = causes.cause_of(status).value, status in FAILOVER_CODES
        assert actual == documented.get(status, ("rejected", False)), status


def test_each_status_has_a_q850_cause() -> None:
    for status in STATUSES:
        assert causes.q850_of(status) in causes.Q850
        assert causes.failed(LEG, status, transport=False).q850 == causes.q850_of(status)
        reason = causes.failed(LEG, status, 31, transport=False)
        assert reason.q850 == 31  # from the Reason header
