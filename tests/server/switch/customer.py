"""A customer's endpoint that is independent of this project: the standard library's HTTP server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

EventQuery = dict[str, str]
QUERY = "webcallid=$webcallid&status=$status&duration=$duration&debit=$debit"


class Server(ThreadingHTTPServer):
    """Lets so many connections wait: all calls of a test may begin at the same moment. Those that
    it turns away would come seconds later, after events that were sent later.
    """

    request_queue_size = 1000
    daemon_threads = True


class Customer:
    """Keeps the events that it receives, and answers 412 if `vetoes` returns True for one, else
    what `status` returns.
    """

    def __init__(
        self,
        vetoes: Callable[[EventQuery], bool] = lambda event: False,
        status: Callable[[EventQuery], int] = lambda event: 200,
    ) -> None:
        self.events: list[EventQuery] = []
        self.slow = False
        customer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                event = dict(parse_qsl(urlsplit(self.path).query, strict_parsing=True))
                customer.events.append(event)
                if customer.slow:
                    time.sleep(2)
                self.send_response(412 if vetoes(event) else status(event))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.eventurl = f"http://127.0.0.1:{self._server.server_port}/call_report.php?{QUERY}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def statuses(self, webcallid: str = "web1") -> list[int]:
        """The statuses received for a call, in order of arrival."""
        return [int(event["status"]) for event in self.events if event["webcallid"] == webcallid]
