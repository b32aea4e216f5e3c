"""RTP between two soft phones, which does not pass through the switch."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .baresip import running_baresip
from .conftest import A, B, SipService

pytestmark = [
    pytest.mark.needs("baresip", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PACKETS_PER_SECOND = 1000 / 20
IN_TRANSIT = 5  # packets when the call ends: the phones do not receive BYE at the same time


@pytest.mark.parametrize(
    ("option", "seconds", "lost"),
    # RTCP reports losses only in the longer call.
    [("", 8, 0), ("early_media", 3, None), ("late_offer", 3, None)],
)
def test_each_phone_receives_all_audio_of_the_other(
    service: SipService, option: str, seconds: int, lost: int | None
) -> None:
    trunk = {option: True} if option else {}
    with running_baresip(f"{A}01", 440) as a, running_baresip(f"{B}02", 880) as b:
        service.gateway(A, a.port, **trunk)
        service.gateway(B, b.port, **trunk)

        call = service.place(max_duration=seconds)

        at_a, at_b = a.media_stats(), b.media_stats()
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    for mine, others in ((at_a, at_b), (at_b, at_a)):
        assert (seconds - 2) * PACKETS_PER_SECOND < mine.sent < (seconds + 2) * PACKETS_PER_SECOND
        assert mine.received >= others.sent - IN_TRANSIT
        assert (mine.errors, mine.lost) == (0, lost)
