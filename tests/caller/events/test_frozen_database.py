"""If a real database stops responding, each event is still answered."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection, connections
from django.test import Client

from django_poketalk.events import deadline
from tests.conftest import Times

from .test_deadline import wait_until_idle
from .test_event_view import NewCall, tell

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite is no server."),
]

LONGEST = 10  # seconds; one is promised, on a machine that does nothing else
ASKERS = 4


class Relay:
    """A proxy to the database. When it is frozen, it accepts connections but forwards nothing."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._address)
                threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            with contextlib.suppress(OSError):
                while True:
                    for key, _ in ready.select():
                        said = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        self.open.wait()
                        if not said:
                            return
                        key.data.sendall(said)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The proxy, which only the threads of the event view use."""
    connection.ensure_connection()
    facts = connections.settings["default"]
    between = Relay((facts["HOST"], int(facts["PORT"])))
    deadline._pool.cache_clear()
    monkeypatch.setitem(facts, "PORT", between.port)
    monkeypatch.setitem(facts, "HOST", "127.0.0.1")
    yield between
    between.close()
    deadline._pool.cache_clear()


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
