"""The endpoint that receives a service's events: it keeps them as they were on the wire."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from ..protocol.codes import CallStatus

# The variables also in the path, where they are no variables, twice, and within other text
TEMPLATE = (
    "/$status?id=$webcallid&status=$status&again=%24status&duration=$duration&debit=$debit"
    "&text=a-$status-z&fixed=1%2B1"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How an event is answered: with an HTTP status, or 0 to close the connection, and after how
    many seconds.
    """

    http_status: int = 200
    delay: float = 0.0


OK, HANG_UP = Answer(), Answer(412)


@dataclass(slots=True)
class Received:
    """A request, and when it arrived and was answered (monotonic seconds; None: not yet)."""

    method: str
    version: str
    target: str
    headers: dict[str, str]
    at: float
    answered_at: float | None = None

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def values(self) -> dict[str, str]:
        """The decoded query."""
        return dict(parse_qsl(self.query, keep_blank_values=True, errors="replace"))

    @property
    def status(self) -> CallStatus | None:
        """The reported status. None if it is none."""
        text = self.values.get("status", "")
        is_status = len(text) == 1 and text in "012345678"
        return CallStatus(int(text)) if is_status else None


@dataclass(slots=True)
class CallLog:
    """The events of one call, in order of arrival. `answer` decides how each is answered."""

    eventurl: str
    custom: str
    answer: Callable[[CallStatus | None], Answer]
    events: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def statuses(self) -> list[CallStatus]:
        return [event.status for event in self.events if event.status is not None]

    @property
    def has_ended(self) -> bool:
        return any(status.is_final for status in self.statuses)

    def wait_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether this holds within so many seconds."""
        with self.changed:
            return self.changed.wait_for(holds, seconds)

    def first(self, status: CallStatus) -> Received | None:
        return next((event for event in self.events if event.status is status), None)


class Endpoint:
    """An HTTP server at `address`, which the service reaches at `base_url`."""

    def __init__(self, address: tuple[str, int], base_url: str = "") -> None:
        self._calls: dict[str, CallLog] = {}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                super().handle_one_request()
                self.close_connection = True  # so that each event has a connection to close

            def do_GET(self) -> None:
                endpoint.receive(self)

            do_POST = do_HEAD = do_PUT = do_GET  # noqa: N815  # the names of its class

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.base_url = (base_url or f"http://{address[0]}:{self.port}").rstrip("/")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.daemon = True
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def expect(self, custom: str, answer: Callable[[CallStatus | None], Answer]) -> CallLog:
        """A log for a new call, with its EventURL."""
        token = secrets.token_hex(6)
        log = CallLog(f"{self.base_url}/{token}{TEMPLATE}", custom, answer)
        self._calls[token] = log
        return log

    def receive(self, request: BaseHTTPRequestHandler) -> None:
        token = request.path.rpartition("?")[0] or request.path
        path = self.base_url.partition("://")[2].partition("/")[2]
        token = token.lstrip("/").removeprefix(path).lstrip("/").partition("/")[0]
        log = self._calls.get(token)
        if log is None:
            self._respond(request, 404)
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        event = Received(
            request.command, request.request_version, request.path, headers, time.monotonic()
        )
        with log.changed:
            log.events.append(event)
            answer = log.answer(event.status)
            log.changed.notify_all()
        time.sleep(answer.delay)
        with log.changed:  # before the answer: the next event may follow it at once
            event.answered_at = time.monotonic()
            log.changed.notify_all()
        if answer.http_status:
            self._respond(request, answer.http_status)

    def _respond(self, request: BaseHTTPRequestHandler, status: int) -> None:
        try:
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.send_header("Connection", "close")
            request.end_headers()
        except OSError:
            pass  # the service did not wait for the answer
