"""A database that stops responding: a proxy between Django and the database."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import connection, connections


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


@contextlib.contextmanager
def relayed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The proxy, for all connections but the one of this thread."""
    connection.ensure_connection()
    facts = connections.settings["default"]
    between = Relay((facts["HOST"], int(facts["PORT"])))
    monkeypatch.setitem(facts, "PORT", between.port)
    monkeypatch.setitem(facts, "HOST", "127.0.0.1")
    try:
        yield between
    finally:
        between.close()
