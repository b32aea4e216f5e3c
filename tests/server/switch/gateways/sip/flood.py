"""A stranger on loopback who floods a SIP port with requests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STRANGER = "127.0.0.66"
METHODS = ("INVITE", "OPTIONS", "REGISTER")
BURST = 20
REQUEST = """{method} sip:100@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{number}
From: <sip:100@127.0.0.1>;tag={number}
To: <sip:100@127.0.0.1>
Call-ID: {number}
CSeq: 1 {method}
Contact: <sip:100@{host}:{port}>
Content-Length: 0

"""


@contextmanager
def bound(host: str) -> Iterator[socket.socket]:
    """A UDP socket of this host."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((host, 0))
        opened.settimeout(10)
        yield opened


def request(source: socket.socket, method: str, number: int) -> bytes:
    """A request outside any dialog."""
    host, port = source.getsockname()
    text = REQUEST.format(method=method, host=host, port=port, number=number)
    return text.replace("\n", "\r\n").encode()


class Flood:
    """Requests to `port`, `rate` of them per second. `sent` and `answered` count datagrams."""

    def __init__(self, port: int, rate: int) -> None:
        self.sent = self.answered = 0
        self._port = port
        self._rate = rate
        self._over = threading.Event()

    def run(self) -> None:
        """Send until `stop`."""
        began = time.monotonic()
        with bound(STRANGER) as stranger:
            stranger.setblocking(False)
            while not self._over.is_set():
                for _ in range(BURST):
                    method = METHODS[self.sent % len(METHODS)]
                    stranger.sendto(request(stranger, method, self.sent), ("127.0.0.1", self._port))
                    self.sent += 1
                self._count_answers(stranger)
                self._over.wait(max(0.0, began + self.sent / self._rate - time.monotonic()))
            self._count_answers(stranger)

    def stop(self) -> None:
        """End `run` soon."""
        self._over.set()

    def _count_answers(self, stranger: socket.socket) -> None:
        while True:
            try:
                stranger.recv(65_535)
            except BlockingIOError:
                return
            self.answered += 1


@contextmanager
def flooding(port: int, rate: int) -> Iterator[Flood]:
    """Flood a port from a thread."""
    flood = Flood(port, rate)
    thread = threading.Thread(target=flood.run)
    thread.start()
    try:
        yield flood
    finally:
        flood.stop()
        thread.join(20)
