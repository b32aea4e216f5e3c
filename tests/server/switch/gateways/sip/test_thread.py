"""The SIP thread, and requests outside dialogs."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from django_poketalk.server.switch.gateways.sip import thread

from .conftest import free_port

pytestmark = [
    pytest.mark.needs("sippy"),
    # sippy leaves a socket open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# What a project might do before its switch serves a call.
IMPORT_IN_MAIN_THREAD = """
import threading
from sippy.Core.EventDispatcher import ED2
from sippy.Time.Timeout import Timeout  # in the main thread
from django_poketalk.server.switch.gateways.sip import thread

fired = threading.Event()
thread.submit(Timeout, fired.set, 0.01, 1).result(10)
assert fired.wait(10)
assert thread.submit(threading.current_thread).result(10).name == "sip"
assert ED2.my_ident == thread.submit(threading.get_ident).result(10)
"""


def test_sippy_runs_in_the_sip_thread_even_if_the_main_thread_imports_it_first() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_IN_MAIN_THREAD],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    # sippy would print its warning "Bad Stuff" to stdout.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_work_of_each_calling_thread_is_done_in_order() -> None:
    done: list[tuple[int, int]] = []

    def call(caller: int) -> None:
        for number in range(500):
            thread.call_soon(done.append, (caller, number))

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    thread.submit(int).result(10)

    assert len(done) == 2000
    for caller in range(4):
        assert [number for each, number in done if each == caller] == list(range(500))


def test_an_error_in_the_thread_is_logged_and_the_thread_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise LookupError("on purpose")

    thread.call_soon(fail)

    assert thread.submit(lambda: 7).result(10) == 7
    assert "on purpose" in caplog.text


@pytest.fixture
def stack() -> Iterator[Any]:
    def open_stack() -> Any:
        from unittest.mock import Mock

        from django_poketalk.server.switch.gateways.sip.stack import Stack

        return Stack("127.0.0.1", free_port(), Mock())

    opened_stack = thread.submit(open_stack).result(30)
    yield opened_stack
    thread.submit(opened_stack.close).result(10)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)
        yield bound


def _server(stack: Any) -> Any:
    return stack.config["_sip_tm"].l4r.getServer(("127.0.0.1", 0))


def test_sending_to_an_invalid_port_is_logged_and_later_messages_are_sent(
    stack: Any, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    server = _server(stack)
    thread.call_soon(server.send_to, "lost", ("127.0.0.1", 99_999))
    thread.call_soon(server.send_to, "sent", peer.getsockname())

    assert peer.recv(100) == b"sent"
    assert "127.0.0.1:99999" in caplog.text


def test_a_host_name_is_resolved_and_one_that_does_not_resolve_is_ignored(
    stack: Any, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    server = _server(stack)
    thread.call_soon(server.send_to, "lost", ("no-such-host.invalid", 5060))
    thread.call_soon(server.send_to, "sent", ("localhost", peer.getsockname()[1]))

    assert peer.recv(100) == b"sent"
    assert "Cannot look up no-such-host.invalid" in caplog.text


INVITE = """INVITE sip:us@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1
From: <sip:them@127.0.0.1>;tag=1
To: <sip:us@127.0.0.1>
Call-ID: 1
CSeq: 1 INVITE
{headers}Content-Length: 0

"""


def test_a_malformed_message_is_logged_without_its_text_and_the_next_is_answered(
    stack: Any,
    peer: socket.socket,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = _server(stack).uopts.laddress
    valid = INVITE.format(port=peer.getsockname()[1], headers="")
    for malformed in (
        b"\xff" * 40,
        b"SIP/2.0 200 OK\r\nVia: nothing\r\nsecret: 1\r\n\r\n",
        b"INVITE sip:us SIP/2.0\r\nsecret: 1\r\n\r\n",
        valid.replace("INVITE sip:us@127.0.0.1 SIP/2.0", "SIP/2.0 99 secret", 1).encode(),
        valid.replace("CSeq: 1", "CSeq: x").encode(),
        valid.replace("Length: 0", "Length: 900").encode(),
        valid.replace("Length: 0", "Length: 6").encode() + b"v=0\r\n",
    ):
        peer.sendto(malformed, address)
    peer.sendto(valid.replace("branch=z9hG4bK1", "branch=z9hG4bK2").encode(), address)

    while b"branch=z9hG4bK2" not in (response := peer.recv(2000)):
        assert response.startswith((b"SIP/2.0 4", b"SIP/2.0 5")), response
    assert response.startswith(b"SIP/2.0 403")
    assert capsys.readouterr() == ("", "")
    assert "can't parse SIP" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("method", "to", "status"),
    [
        ("OPTIONS", "", b"200"),
        ("INVITE", "", b"403"),
        ("MESSAGE", "", b"405"),
        ("BYE", ";tag=gone", b"481"),
    ],
)
def test_a_request_outside_our_dialogs_is_answered(
    stack: Any, peer: socket.socket, method: str, to: str, status: bytes
) -> None:
    text = INVITE.format(port=peer.getsockname()[1], headers="").replace("INVITE", method)
    text = text.replace("To: <sip:us@127.0.0.1>", f"To: <sip:us@127.0.0.1>{to}")
    peer.sendto(text.encode(), _server(stack).uopts.laddress)

    assert peer.recv(2000).startswith(b"SIP/2.0 " + status)


@pytest.mark.parametrize("header", ["Authorization", "proxy-authorization"])
def test_credentials_are_removed_from_the_message_log(
    stack: Any, peer: socket.socket, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    caplog.set_level(logging.DEBUG, "django_poketalk.server.switch.gateways.sip")
    credentials = f'{header}: Digest username="me",\r\n response="0123456789abcdef"\r\n'
    text = INVITE.format(port=peer.getsockname()[1], headers=credentials)
    peer.sendto(text.encode(), _server(stack).uopts.laddress)

    assert peer.recv(2000).startswith(b"SIP/2.0 403")
    assert f"{header}: …" in caplog.text
    assert "CSeq: 1 INVITE" in caplog.text  # the rest is logged
    assert "0123456789abcdef" not in caplog.text
