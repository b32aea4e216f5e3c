"""Two soft phones that really send sound: it flows between them, and nothing of it through us."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .baresip import listening
from .conftest import A, B, Lines

pytestmark = [
    pytest.mark.needs("baresip", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

A_SECOND = 1000 / 20  # packets
ON_THE_WAY = 5  # when the phones are put down, one after the other


@pytest.mark.parametrize(
    ("option", "seconds", "lost"),
    # Only a long call hears by RTCP what the other has not heard.
    [("", 8, 0), ("early_media", 3, None), ("late_offer", 3, None)],
)
def test_each_hears_all_that_the_other_says(
    lines: Lines, option: str, seconds: int, lost: int | None
) -> None:
    trunk = {option: True} if option else {}
    with listening(f"{A}01", 440) as a, listening(f"{B}02", 880) as b:
        lines.gateway(A, a.port, **trunk)
        lines.gateway(B, b.port, **trunk)

        call = lines.place(max_duration=seconds)

        at_a, at_b = a.heard(), b.heard()
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    for mine, others in ((at_a, at_b), (at_b, at_a)):
        assert (seconds - 2) * A_SECOND < mine.sent < (seconds + 2) * A_SECOND
        assert mine.received >= others.sent - ON_THE_WAY
        assert (mine.errors, mine.lost) == (0, lost)
