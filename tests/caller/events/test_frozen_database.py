"""If a real database stops responding, each event is still answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection  # noqa: F401  (for skipif)
from django.test import Client

from django_poketalk.views.events import RECORDING
from tests.conftest import Times
from tests.relay import Relay, relayed

from .test_deadline import wait_until_idle
from .test_event_view import NewCall, tell

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite is no server."),
]

LONGEST = 10  # seconds; one is promised, on a machine that does nothing else
ASKERS = 4


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The proxy, which only the threads of the event view use."""
    monkeypatch.setattr(RECORDING, "_pools", {})
    with relayed(monkeypatch) as between:
        yield between


def test_with_a_frozen_database_events_are_answered_by_their_signed_limits(
    relay: Relay, client: Client, new_call: NewCall, times: Times
) -> None:
    call = new_call(max_duration=300, max_cost=Decimal(1))
    assert tell(client, call, 7, 60) == 200
    answers: Counter[tuple[int, int]] = Counter()
    slowest = [0.0]
    until = time.monotonic() + times(3, full=60)

    def ask() -> None:
        mine = Client()
        while time.monotonic() < until:
            for duration in (120, 300):
                begun = time.monotonic()
                answers[duration, tell(mine, call, 7, duration)] += 1
                slowest.append(time.monotonic() - begun)

    relay.open.clear()
    asking = [threading.Thread(target=ask) for _ in range(ASKERS)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    relay.open.set()

    assert set(answers) == {(120, 503), (300, 412)}
    assert max(slowest) < LONGEST
    wait_until_idle()
    assert tell(client, new_call(), 7, 60) == 200
