"""What a SIP status means, and whether another gateway is tried: as the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.sip import causes
from django_poketalk.server.switch.machine.facts_and_commands import Side

GUIDE = Path(__file__).parents[5] / "docs/howto/sip.md"
STATUSES = range(400, 700)
LEG = LegKey(CallKey(1, 1), Side.A, 1)


def test_each_status_means_what_the_guide_says() -> None:
    told: dict[int, tuple[str, bool]] = {}
    for named, cause, tries_next in re.findall(
        r"^\| (.*[0-9].*) \| `(\w+)` \| (yes|no)\b.* \|$", GUIDE.read_text(), re.MULTILINE
    ):
        for status in re.findall(r"\b[4-6][0-9]{2}\b", named):
            told[int(status)] = cause, tries_next == "yes"

    assert len(told) > 15
    for status in STATUSES:
        means = causes.cause_of(status).value, status in causes.TRY_NEXT
        assert means == told.get(status, ("rejected", False)), status


def test_each_status_has_a_cause_of_q_850() -> None:
    for status in STATUSES:
        assert causes.q850_of(status) in causes.Q850
        assert causes.failed(LEG, status).q850 == causes.q850_of(status)
        assert causes.failed(LEG, status, 31).q850 == 31  # from the Reason header
