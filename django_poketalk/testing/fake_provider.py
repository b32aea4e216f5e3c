"""A fake of a provider on a real socket, which can fail at each step of a request."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.test import Client

from ..backends import ServiceCall
from ..events import incoming
from ..models import CallRequest
from ..protocol import eventurl
from ..protocol.codes import CallStatus
from ..protocol.eventurl import Event

SITE = "http://testserver"
PATIENCE = 5.0  # seconds for which a silent connection stays open


class Fault(enum.Enum):
    """What goes wrong with each request."""

    RESET_EARLY = "the connection is reset in the middle of the request"
    SILENT_AT_ONCE = "nothing is read, and nothing is answered"
    RESET_LATER = "the connection is reset after the request"
    CLOSED_LATER = "the connection is closed after the request"
    SILENT_LATER = "the request is read, and nothing is answered"
    DRIPPING = "the answer arrives byte by byte, and never ends"


@dataclass(frozen=True, slots=True)
class Received:
    """A request of the backend. `path` has the query; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the provider."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        fields = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 {self.status} Status\r\n{head}\r\n".encode() + self.body


class FakeProvider(ABC):
    """Subclass it with what your provider answers and how it reports.

    `received` has all requests so far. `calls` has what the provider knows, by `webcallid`: fill it
    in `answer`, and answer questions from it. `hung_up` has the calls that it was asked to end.
    """

    can_ask = True  # whether the backend hangs up and looks up calls of this provider

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.calls: dict[str, ServiceCall] = {}
        self.hung_up: list[str] = []
        self.refuses = False  # whether orders are refused, with `refusal`
        self.replaced: Reply | None = None  # the answer to everything
        self.fault: Fault | None = None
        self.cut_at: int | None = None  # bytes of each answer that arrive
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    # What you define

    @abstractmethod
    def service(self) -> dict[str, Any]:
        """The settings of the service at `self.url`, as in `SERVICES`."""

    @abstractmethod
    def answer(self, request: Received) -> Reply:
        """The answer to an order, a hang-up or a question, if all goes well."""

    @abstractmethod
    def refusal(self) -> Reply:
        """The answer to an order that the provider clearly refuses."""

    @abstractmethod
    def is_order(self, request: Received) -> bool:
        """Whether this request asks for a call."""

    def report(
        self, client: Client, call: CallRequest, status: CallStatus, duration: int, cost: Decimal
    ) -> Any:
        """Report to the site, and return its response. By default, an event of the protocol."""
        event = Event(status, call.webcallid, duration, cost)
        return client.get(eventurl.expand(incoming.event_url(call), event))

    def forge(self, client: Client, call: CallRequest, status: CallStatus) -> list[Any]:
        """The site's responses to reports with this status that the provider has not signed."""
        url = eventurl.expand(incoming.event_url(call), Event(status, call.webcallid))
        path = url.removeprefix(SITE)
        token = path.partition("?")[0].rstrip("/").rpartition("/")[2]
        last = "A" if token[-1] != "A" else "B"
        changed = (f"{token[:-1]}{last}", f"9{token}", token[:-1])
        return [client.get(path.replace(token, each)) for each in changed]

    # The server

    @property
    def orders(self) -> list[Received]:
        return [request for request in self.received if self.is_order(request)]

    def close(self) -> None:
        """Stop listening: further connections are refused."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _address = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError, ValueError):
            peer.settimeout(PATIENCE)
            if self.fault is Fault.SILENT_AT_ONCE:
                time.sleep(PATIENCE)
            if self.fault is Fault.RESET_EARLY:
                peer.recv(1)
                _reset(peer)
                return
            request = _read(peer)
            self.received.append(request)
            match self.fault:
                case Fault.RESET_LATER:
                    _reset(peer)
                case Fault.SILENT_LATER:
                    peer.recv(1)
                case Fault.DRIPPING:
                    self._drip(peer, request)
                case None:
                    peer.sendall(self._reply(request).raw()[: self.cut_at])

    def _reply(self, request: Received) -> Reply:
        if self.replaced is not None:
            return self.replaced
        return self.refusal() if self.refuses and self.is_order(request) else self.answer(request)

    def _drip(self, peer: socket.socket, request: Received) -> None:
        until = time.monotonic() + PATIENCE
        raw = self._reply(request).raw().replace(b"Content-Length: ", b"Content-Length: 9")
        for byte in raw + b" " * 1000:
            if time.monotonic() > until:
                return
            peer.sendall(bytes([byte]))
            time.sleep(0.05)


def _reset(peer: socket.socket) -> None:
    """Make the end of the connection a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _read(peer: socket.socket) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(peer)
    head, _blank, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _version = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _colon, value in pairs}
    while len(body) < int(headers.get("content-length", 0)):
        body += _some(peer)
    return Received(method, path, headers, body)


def _some(peer: socket.socket) -> bytes:
    data = peer.recv(4096)
    if not data:
        raise ConnectionError("the backend left in the middle of its request")
    return data
