"""An HTTP server whose answer a test chooses."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest
from celery import current_app

from django_poketalk.shared.doctor import Finding, Options
from tests.celery import app

Found = Callable[..., list[tuple[str, str]]]


@dataclass
class Reply:
    """A response. `date` is the header `Date`, by default the current time."""

    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    date: str = ""


@dataclass
class Site:
    """The replies to requests by the beginning of their path, and the requests so far."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, body

    def reply(self, path: str) -> Reply:
        return next(
            (each for start, each in self.replies.items() if path.startswith(start)),
            Reply(status=404),
        )


@pytest.fixture(autouse=True)
def _celery() -> Iterator[None]:
    """The app of the tests is Celery's current one, whatever other tests have loaded."""
    previous = current_app._get_current_object()
    app.set_current()
    yield
    previous.set_current()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is given
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            site.requests.append((self.command, self.path, body))
            reply = site.reply(self.path)
            content = reply.body.encode()
            self.send_response_only(reply.status)
            self.send_header("Date", reply.date or formatdate(usegmt=True))
            self.send_header("Content-Length", str(len(content)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join(5)


def of(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    """The level and the text of each finding."""
    return [(each.level.value, each.text) for each in findings]


BRIEF = Options(seconds=2)
PATIENT = Options(seconds=30)  # for what must answer, on any machine
