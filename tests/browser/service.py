"""A Click-2-Call service whose answers and events the test controls."""

from __future__ import annotations

import http.server
from decimal import Decimal
from urllib.parse import parse_qsl

import requests

from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import CallStatus

TIMEOUT = 10.0  # seconds
ATTEMPTS = 10  # each as long as the event view waits for the database


class Service(http.server.ThreadingHTTPServer):
    """Answers each request with `answer`, and keeps all requests in `requests`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = "00"
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/index.php/api/click2call"

    def send_event(self, status: int, duration: int = 0, cost: str = "0") -> int:
        """Send an event of the latest call, again while the site is too busy to record it (503).
        Return the HTTP status of the last response.
        """
        request = self.requests[-1]
        event = eventurl.Event(CallStatus(status), request["custom"], duration, Decimal(cost))
        address = eventurl.expand(request["eventurl"], event)
        for _attempt in range(ATTEMPTS):
            response = requests.get(address, timeout=TIMEOUT)
            if response.status_code != requests.codes.service_unavailable:
                break
        return response.status_code


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.requests.append(dict(parse_qsl(body)))
        answer = self.server.answer.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Log nothing."""
