"""The SIP thread, and what it sends."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from django_poketalk.server.switch.gateways.sip import thread

from .conftest import server_of

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


def test_sending_to_an_invalid_port_is_logged_and_later_messages_are_sent(
    stack: Any, phone: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(stack)
    thread.call_soon(server.send_to, "lost", ("127.0.0.1", 99_999))
    thread.call_soon(server.send_to, "sent", phone.getsockname())

    assert phone.recv(100) == b"sent"
    assert "127.0.0.1:99999" in caplog.text


def test_a_host_name_is_resolved_and_one_that_does_not_resolve_is_ignored(
    stack: Any, phone: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(stack)
    thread.call_soon(server.send_to, "lost", ("no-such-host.invalid", 5060))
    thread.call_soon(server.send_to, "sent", ("localhost", phone.getsockname()[1]))

    assert phone.recv(100) == b"sent"
    assert "Cannot look up no-such-host.invalid" in caplog.text
