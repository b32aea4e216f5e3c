"""sippy and its one thread, whoever else in the process has to do with sippy."""

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
    # Of a socket that sippy leaves open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# What a project might do before its switch takes a call.
ELSEWHERE = """
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


def test_sippy_keeps_to_its_thread_though_another_imports_it_first() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, timeout=60, check=False
    )

    # Its warning of "Bad Stuff" would go to stdout.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_work_is_done_in_the_order_in_which_threads_ask_for_it() -> None:
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


def test_an_error_in_the_thread_is_logged_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> None:
        raise LookupError("on purpose")

    thread.call_soon(fails)

    assert thread.submit(lambda: 7).result(10) == 7
    assert "on purpose" in caplog.text


@pytest.fixture
def stack() -> Iterator[Any]:
    def opened() -> Any:
        from unittest.mock import Mock

        from django_poketalk.server.switch.gateways.sip.stack import Stack

        return Stack("127.0.0.1", free_port(), Mock())

    opened_stack = thread.submit(opened).result(30)
    yield opened_stack
    thread.submit(opened_stack.close).result(10)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)
        yield bound


def _port(stack: Any) -> Any:
    return stack.config["_sip_tm"].l4r.getServer(("127.0.0.1", 0))


def test_an_impossible_port_in_a_contact_stops_nobody_else(
    stack: Any, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    port = _port(stack)
    thread.call_soon(port.send_to, "lost", ("127.0.0.1", 99_999))
    thread.call_soon(port.send_to, "heard", peer.getsockname())

    assert peer.recv(100) == b"heard"
    assert "127.0.0.1:99999" in caplog.text


def test_a_name_in_a_contact_is_looked_up_and_one_that_nobody_knows_is_passed_over(
    stack: Any, peer: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    port = _port(stack)
    thread.call_soon(port.send_to, "lost", ("no-such-host.invalid", 5060))
    thread.call_soon(port.send_to, "heard", ("localhost", peer.getsockname()[1]))

    assert peer.recv(100) == b"heard"
    assert "Cannot look up no-such-host.invalid" in caplog.text


INVITE = """INVITE sip:us@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1
From: <sip:them@127.0.0.1>;tag=1
To: <sip:us@127.0.0.1>
Call-ID: 1
CSeq: 1 INVITE
{headers}Content-Length: 0

"""


def test_a_message_that_makes_no_sense_is_neither_printed_nor_the_end(
    stack: Any,
    peer: socket.socket,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = _port(stack).uopts.laddress
    sensible = INVITE.format(port=peer.getsockname()[1], headers="")
    for nonsense in (
        b"\xff" * 40,
        b"SIP/2.0 200 OK\r\nVia: nothing\r\nsecret: 1\r\n\r\n",
        b"INVITE sip:us SIP/2.0\r\nsecret: 1\r\n\r\n",
        sensible.replace("INVITE sip:us@127.0.0.1 SIP/2.0", "SIP/2.0 99 secret", 1).encode(),
        sensible.replace("CSeq: 1", "CSeq: x").encode(),
        sensible.replace("Length: 0", "Length: 900").encode(),
        sensible.replace("Length: 0", "Length: 6").encode() + b"v=0\r\n",
    ):
        peer.sendto(nonsense, ours)
    peer.sendto(sensible.replace("branch=z9hG4bK1", "branch=z9hG4bK2").encode(), ours)

    while b"branch=z9hG4bK2" not in (heard := peer.recv(2000)):
        assert heard.startswith((b"SIP/2.0 4", b"SIP/2.0 5")), heard
    assert heard.startswith(b"SIP/2.0 403")
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
def test_what_comes_in_unasked_is_answered(
    stack: Any, peer: socket.socket, method: str, to: str, status: bytes
) -> None:
    text = INVITE.format(port=peer.getsockname()[1], headers="").replace("INVITE", method)
    text = text.replace("To: <sip:us@127.0.0.1>", f"To: <sip:us@127.0.0.1>{to}")
    peer.sendto(text.encode(), _port(stack).uopts.laddress)

    assert peer.recv(2000).startswith(b"SIP/2.0 " + status)


@pytest.mark.parametrize("header", ["Authorization", "proxy-authorization"])
def test_answers_to_challenges_are_not_in_the_log_of_messages(
    stack: Any, peer: socket.socket, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    caplog.set_level(logging.DEBUG, "django_poketalk.server.switch.gateways.sip")
    credentials = f'{header}: Digest username="me",\r\n response="0123456789abcdef"\r\n'
    text = INVITE.format(port=peer.getsockname()[1], headers=credentials)
    peer.sendto(text.encode(), _port(stack).uopts.laddress)

    assert peer.recv(2000).startswith(b"SIP/2.0 403")
    assert f"{header}: …" in caplog.text
    assert "CSeq: 1 INVITE" in caplog.text  # but for that, it is whole
    assert "0123456789abcdef" not in caplog.text
