"""A small Click-2-Call service, whose phones answer at once. Subclasses break one promise each."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit

KEY = "the-key"
INTERVAL = 1.0  # seconds between two ticks
STEP = 0.1  # seconds between two statuses
CLOSING = {1: 2, 3: 4, 5: 4, 7: 8}


class GoodService:
    """Obeys the protocol."""

    longest = 10  # ticks of a call that nobody ends

    def __init__(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
                status, body = service.answer({name: each[0] for name, each in form.items()})
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.send_error(405)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/index.php/api/click2call"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        """The HTTP status and the body of the answer to a request."""
        if max(len(form.get("custom", "")), len(form.get("eventurl", ""))) > 255:
            return 400, b"too long"
        code = self.code(form)
        if code == "00":
            threading.Thread(target=self.run, args=(form,), daemon=True).start()
        return 200, self.body(code)

    def code(self, form: dict[str, str]) -> str:
        checks = {
            "10": not form.get("api_key"),
            "20": not _digits(form.get("from", "")),
            "30": not _digits(form.get("to", "")),
            "40": form.get("api_key") != KEY,
        }
        return next((code for code in self.order(checks) if checks[code]), "00")

    def order(self, codes: dict[str, bool]) -> list[str]:
        return sorted(codes)

    def body(self, code: str) -> bytes:
        return code.encode()

    def run(self, form: dict[str, str]) -> None:
        """The call: both phones answer, and talk until 412, or for long."""
        began = time.monotonic()
        status = 0
        for status in self.progress():
            if self.send(form, status, began) and self.obeys(status):
                break
            if status == 3:
                began = time.monotonic()
            time.sleep(STEP)
        else:
            for tick in range(1, self.longest + 1):
                time.sleep(max(began + tick * INTERVAL - time.monotonic(), 0))
                if self.ticks() and self.send(form, status, began) and self.obeys(status):
                    break
                if not self.ticks() and tick == 3:
                    break
        for final in self.closing(CLOSING[status]):
            self.send(form, final, began)

    def progress(self) -> list[int]:
        return [1, 3, 5, 7]

    def closing(self, status: int) -> list[int]:
        return [status]

    def ticks(self) -> bool:
        return True

    def obeys(self, status: int) -> bool:
        return True

    def encode(self, value: str) -> str:
        return quote(value, safe="")

    def send(self, form: dict[str, str], status: int, began: float) -> bool:
        """Send an event, and return whether it was answered with 412."""
        seconds = int(time.monotonic() - began) if status > 2 else 0
        values = {
            "webcallid": self.encode(form["custom"]),
            "status": str(status),
            "duration": str(seconds),
            "debit": f"{seconds / 100:.3f}",
        }
        address, _mark, query = form["eventurl"].partition("?")
        query = query.replace("%24", "$")
        for name, value in values.items():
            query = query.replace(f"${name}", value.replace("$", "%24"))
        parts = urlsplit(address)
        sending = http.client.HTTPConnection(parts.netloc, timeout=5)
        with contextlib.closing(sending), contextlib.suppress(OSError, http.client.HTTPException):
            sending.putrequest("GET", f"{parts.path}?{query}", skip_accept_encoding=True)
            sending.putheader("User-Agent", "ARS 0.1")
            sending.putheader("Accept", "*/*")
            sending.endheaders()
            return sending.getresponse().status == 412
        return False


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


class Newline(GoodService):
    """Ends the code with a line break."""

    def body(self, code: str) -> bytes:
        return f"{code}\n".encode()


class KeyFirst(GoodService):
    """Looks for the key before it looks at the numbers."""

    def order(self, codes: dict[str, bool]) -> list[str]:
        return ["10", "40", "20", "30"]


class Unencoded(GoodService):
    """Only encodes what would break the request line."""

    def encode(self, value: str) -> str:
        return quote(value, safe="&=+/?'\"")


class Stubborn(GoodService):
    """Ignores 412 once both phones talk."""

    longest = 6

    def obeys(self, status: int) -> bool:
        return status != 7


class Silent(GoodService):
    """Sends no ticks."""

    def ticks(self) -> bool:
        return False


class Talkative(GoodService):
    """Reports the end twice."""

    def closing(self, status: int) -> list[int]:
        return [status, 4]
