"""The backend with real sockets: what it sends, and how it interprets each answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_poketalk.backends import Order, Verdict
from django_poketalk.backends.click2call import Click2CallBackend
from django_poketalk.exceptions import NotConnected
from django_poketalk.protocol.codes import ResponseCode

ORDER = Order("442079460000", "442079460123", "web1", "https://crm.example.com/e?status=$status")
Change = Callable[..., None]


class Service:
    """A server that answers each connection with prepared bytes. None: it resets the connection."""

    def __init__(self) -> None:
        self.reply: bytes | None = b""
        self.drip = 0.0  # seconds between the bytes of the reply
        self.at_once = 0  # bytes of it that do not drip
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/index.php/api/click2call"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):  # the client may leave at any time
                peer.settimeout(5)
                self.requests.append(self._read(peer))
                if self.reply is None:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                reply = self.reply or b""
                at_once = self.at_once if self.drip else len(reply)
                peer.sendall(reply[:at_once])
                for byte in reply[at_once:]:
                    time.sleep(self.drip)
                    peer.sendall(bytes([byte]))

    def _read(self, peer: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some(peer)
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        if b"content-length:" in head.lower():
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._some(peer)
        return head + b"\r\n\r\n" + body

    @staticmethod
    def _some(peer: socket.socket) -> bytes:
        data = peer.recv(4096)
        if not data:
            raise ConnectionError("the client left in the middle of its request")
        return data

    def answer(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        length = f"Content-Length: {len(body)}\r\n"
        self.reply = (
            f"HTTP/1.1 {status}\r\n{length}{headers}Connection: close\r\n\r\n".encode() + body
        )

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._socket.close()
        self._thread.join(10)
        assert not self._thread.is_alive(), "it would take a processor from all other tests"


@pytest.fixture
def service(poketalk: Change) -> Iterator[Service]:
    service = Service()
    poketalk(URL=service.url, API_KEY="s3cret", CONNECT_TIMEOUT=0.5, READ_TIMEOUT=0.5)
    yield service
    service.close()


def test_the_request_has_exactly_the_fields_of_the_protocol(service: Service) -> None:
    service.answer(b"00")

    Click2CallBackend().place(ORDER)

    head, _, body = service.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /index.php/api/click2call HTTP/1.1")
    assert b"application/x-www-form-urlencoded" in head
    assert parse_qs(body.decode()) == {
        "to": ["442079460123"],
        "from": ["442079460000"],
        "api_key": ["s3cret"],
        "custom": ["web1"],
        "eventurl": ["https://crm.example.com/e?status=$status"],
    }


@pytest.mark.parametrize("code", list(ResponseCode))
def test_every_code_is_understood(service: Service, code: ResponseCode) -> None:
    service.answer(code.value.encode())

    answer = Click2CallBackend().place(ORDER)

    verdict = Verdict.ACCEPTED if code is ResponseCode.OK else Verdict.REJECTED
    assert (answer.verdict, answer.code) == (verdict, code)


def test_bad_input_is_rejected_with_the_services_reason(service: Service) -> None:
    service.answer(b"custom is longer than 255 characters", "400 Bad Request")

    answer = Click2CallBackend().place(ORDER)

    assert (answer.verdict, answer.code) == (Verdict.REJECTED, None)
    assert answer.detail == "custom is longer than 255 characters"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", "200 OK"),
        (b"OK", "200 OK"),
        (b"80", "200 OK"),
        (b"000", "200 OK"),
        (b"<html>00</html>", "200 OK"),
        (b"00", "500 Internal Server Error"),
        (b"00", "503 Service Unavailable"),
        (b"00", "404 Not Found"),
        (b"00", "204 No Content"),
        (b"0" * 5_000_000, "200 OK"),
    ],
)
def test_an_unclear_answer_is_unknown(service: Service, body: bytes, status: str) -> None:
    service.answer(body, status)

    assert Click2CallBackend().place(ORDER).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(service: Service, status: str) -> None:
    service.answer(b"00", status, f"Location: {service.url}\r\n")

    assert Click2CallBackend().place(ORDER).verdict is Verdict.UNKNOWN
    assert len(service.requests) == 1


def test_a_reset_after_the_request_is_unknown(service: Service) -> None:
    service.reply = None

    assert Click2CallBackend().place(ORDER).verdict is Verdict.UNKNOWN


def test_a_truncated_answer_is_never_a_success(service: Service) -> None:
    service.answer(b"00")
    whole = service.reply or b""
    for length in range(len(whole)):
        service.reply = whole[:length]

        answer = Click2CallBackend().place(ORDER)

        assert answer.verdict is Verdict.UNKNOWN, whole[:length]


def test_no_answer_within_the_read_timeout_is_unknown(poketalk: Change) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        poketalk(URL=f"http://127.0.0.1:{port}/", CONNECT_TIMEOUT=0.5, READ_TIMEOUT=0.2)

        answer = Click2CallBackend().place(ORDER)

    assert answer.verdict is Verdict.UNKNOWN
    assert "timed out" in answer.detail.lower()


def test_slow_headers_time_out(service: Service) -> None:
    service.reply = b"HTTP/1.1 200 OK\r\n" + b"X-Drop: 1\r\n" * 90
    service.drip = 0.02  # 20 s for all of it, and never 0.5 s without a byte

    started = time.monotonic()
    answer = Click2CallBackend().place(ORDER)

    assert answer.verdict is Verdict.UNKNOWN
    assert time.monotonic() - started < 8


def test_a_slow_answer_times_out(service: Service) -> None:
    service.answer(b" " * 900 + b"00")
    service.at_once = len(service.reply or b"") - 902
    service.drip = 0.02  # 20 s for all of it, and never 0.5 s without a byte

    started = time.monotonic()
    answer = Click2CallBackend().place(ORDER)

    assert answer.verdict is Verdict.UNKNOWN
    assert time.monotonic() - started < 10


def test_only_the_first_kibibyte_of_an_answer_is_read(service: Service) -> None:
    service.answer(b" " * 1023 + b"00")

    assert Click2CallBackend().place(ORDER).verdict is Verdict.UNKNOWN


def test_only_an_untrusted_certificate_proves_that_nothing_was_sent_over_tls(
    service: Service, poketalk: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If TLS fails, the request may already have been sent. The error is the same in both cases."""
    errors: list[ssl.SSLError] = [
        ssl.SSLEOFError("broken off"),
        ssl.SSLCertVerificationError("self-signed"),
    ]

    def fail(*args: Any, **options: Any) -> None:
        raise errors.pop(0)

    poketalk(URL=service.url.replace("http:", "https:"))
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", fail)

    assert Click2CallBackend().place(ORDER).verdict is Verdict.UNKNOWN
    with pytest.raises(NotConnected, match="self-signed"):
        Click2CallBackend().place(ORDER)


def test_proxies_of_the_environment_are_not_used(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    service.answer(b"00")

    assert Click2CallBackend().place(ORDER).verdict is Verdict.ACCEPTED


def test_nothing_was_sent_if_the_connection_is_refused(service: Service) -> None:
    service.close()

    with pytest.raises(NotConnected, match="Connection refused"):
        Click2CallBackend().place(ORDER)


def test_nothing_was_sent_if_the_host_does_not_exist(poketalk: Change) -> None:
    poketalk(URL="http://poketalk.invalid/")

    # For people: without the connection object that urllib3 begins its own sentence with.
    with pytest.raises(NotConnected, match="could not be reached: Failed to resolve"):
        Click2CallBackend().place(ORDER)


def test_a_missing_url_is_an_error(poketalk: Change) -> None:
    poketalk(URL="")

    with pytest.raises(ImproperlyConfigured, match="URL"):
        Click2CallBackend().place(ORDER)


def test_no_detail_contains_the_api_key(service: Service) -> None:
    service.close()

    with pytest.raises(NotConnected) as error:
        Click2CallBackend().place(ORDER)

    assert "s3cret" not in str(error.value)
    assert "442079" not in str(error.value)


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        (b"X-Poketalk-Reason: no_rate\r\n", "no_rate"),
        (b"x-poketalk-reason: spend_per_day\r\n", "spend_per_day"),
        (b"X-Poketalk-Reason: <b>of our own</b>\r\n", ""),
        (b"", ""),
    ],
)
def test_a_service_can_say_which_reason_a_code_had(
    header: bytes, cause: str, service: Service
) -> None:
    service.reply = b"HTTP/1.1 200 OK\r\n" + header + b"Content-Length: 2\r\n\r\n90"

    answer = Click2CallBackend().place(ORDER)

    assert (answer.verdict, answer.code, answer.cause) == (Verdict.REJECTED, "90", cause)
