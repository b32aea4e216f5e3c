"""`manage.py demo`: explains why it cannot start, runs all programs, and cleans up."""

from __future__ import annotations

import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from demo import ports
from demo.interrupts import Interrupted, interruptible

from .conftest import PROJECT, Manage, environment, run

pytestmark = pytest.mark.programs

on_linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")

TWO_CASES = """
from decimal import Decimal
import django
django.setup()
from django.core.management import call_command
from contacts import demo_data
from demo import cases, check
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account

right = next(case for case in cases.cases() if case.what.startswith("40"))
wrong = cases.Case(
    "B is busy, and we expect otherwise",
    cases.a("50"),
    cases.b("01"),
    cases.made(CallStatus.B_FAILED, "declined"),
)

def two_cases():
    account = Account.objects.get(name=demo_data.ACCOUNT)
    for _ in range(10):  # SQLite adds floats, so the sum is not exact there
        ledger.adjust(account, Decimal("-0.1"))
    return iter([right, wrong])

check.cases = two_cases
call_command("demo", "--check", "--port=PORT")
"""

PREPARE = """
from demo.management.commands.demo import _prepare
_prepare(8000, "demo")
print("prepared")
"""


@contextmanager
def running(
    var: Path, port: int, stderr: int = subprocess.STDOUT
) -> Iterator[subprocess.Popen[str]]:
    """A running demo."""
    demo = subprocess.Popen(
        [sys.executable, "manage.py", "demo", f"--port={port}"],
        cwd=PROJECT,
        env=environment(var),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        assert demo.stdout is not None
        output = []
        for line in demo.stdout:
            output.append(line)
            if "Ctrl-C stops everything" in line:
                break
        else:
            pytest.fail("".join(output))
        yield demo
    finally:
        demo.kill()
        demo.communicate()


def processes_of(var: Path) -> dict[int, str]:
    """The command lines of all processes that run in this folder."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CRM_VAR={var}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, UnicodeDecodeError):
            continue  # it has ended, or belongs to another user
    return found


def test_a_port_in_use_is_named(manage: Manage) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = manage("demo", f"--port={port}")

    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "tox run -e demo -- --port " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_speed_is_named(manage: Manage) -> None:
    done = manage("demo", "--check", "--speed=-1")

    assert done.returncode == 1
    assert "--speed -1 is not between 0 and 1000" in done.stderr


def test_a_database_of_an_older_copy_is_set_aside_and_renewed(
    manage: Manage, tmp_path: Path
) -> None:
    manage("migrate", "--verbosity=0")
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        database.execute("ALTER TABLE poketalk_callevent DROP COLUMN reason")

    done = manage("shell", "--verbosity=0", "-c", PREPARE)

    assert f"It is now {tmp_path / 'db.sqlite3.old'}." in done.stdout, done.stderr
    assert done.stdout.endswith("prepared\n")
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        assert database.execute("SELECT count(reason) FROM poketalk_callevent").fetchone() == (0,)
        [(contacts,)] = database.execute("SELECT count(*) FROM contacts_contact")
        assert contacts > 40
    with closing(sqlite3.connect(tmp_path / "db.sqlite3.old")) as database:
        columns = database.execute("PRAGMA table_info(poketalk_callevent)").fetchall()
        assert "reason" not in {name for _, name, *_ in columns}
    assert (tmp_path / "db.sqlite3").stat().st_mode & 0o077 == 0


def test_it_does_not_run_with_the_settings_of_a_deployment(manage: Manage) -> None:
    done = manage("demo", DJANGO_DEBUG="0", DJANGO_SECRET_KEY="a-secret-key-" * 4)

    assert done.returncode == 1
    assert "only runs as a development server" in done.stderr


@on_linux
def test_it_runs_until_ctrl_c_and_cleans_up(tmp_path: Path) -> None:
    port = ports.any_free()
    with running(tmp_path, port) as demo:
        login = requests.get(f"http://127.0.0.1:{port}/", timeout=10)
        parts = len(processes_of(tmp_path))

        demo.send_signal(signal.SIGINT)
        demo.send_signal(signal.SIGINT)  # tox forwards the signal, so that it arrives twice
        rest, _ = demo.communicate(timeout=60)

    assert "Log in" in login.text
    assert parts == 5, "the demo, web, worker, beat and switch"
    assert demo.returncode == 0
    assert rest.endswith("Stopped.\n")
    assert "Traceback" not in rest
    assert processes_of(tmp_path) == {}
    assert ports.is_free(port)


@on_linux
def test_ctrl_c_in_a_terminal_does_not_reach_the_program_that_started_it(tmp_path: Path) -> None:
    """tox would report a failure."""
    demo = [sys.executable, "manage.py", "demo", f"--port={ports.any_free()}"]
    parent = f"import subprocess; print('The demo has ended:', subprocess.call({demo!r}))"
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        # A new session whose terminal this is, with the parent in the foreground
        ["setsid", "--ctty", "--wait", sys.executable, "-c", parent],
        cwd=PROJECT,
        env=environment(tmp_path),
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    output = b""
    with suppress(OSError), open(terminal, "r+b", buffering=0) as screen:  # it ends with an error
        while data := screen.read(65_536):
            output += data
            if b"Ctrl-C stops everything" in output and b"^C" not in output:
                screen.write(b"\x03")

    assert process.wait(30) == 0, output
    assert b"The demo has ended: 0" in output
    assert b"KeyboardInterrupt" not in output


@on_linux
def test_it_ends_quietly_when_nobody_reads_its_output(tmp_path: Path) -> None:
    with running(tmp_path, ports.any_free(), stderr=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.close()

        demo.send_signal(signal.SIGINT)

        assert demo.wait(60) == 0
        assert demo.stderr.read() == ""
        assert processes_of(tmp_path) == {}
        demo.stdout = None


@on_linux
def test_it_stops_with_a_message_when_a_program_dies(tmp_path: Path) -> None:
    with running(tmp_path, ports.any_free()) as demo:
        [worker] = [pid for pid, command in processes_of(tmp_path).items() if " worker " in command]

        os.kill(worker, signal.SIGKILL)
        rest, _ = demo.communicate(timeout=60)

    assert demo.returncode == 1
    assert "worker ended with exit code -9" in rest
    assert processes_of(tmp_path) == {}


def test_a_check_with_a_difference_fails_and_shows_the_logs(tmp_path: Path) -> None:
    port = ports.any_free()
    folder = tmp_path / "check"

    done = run(
        "-c",
        TWO_CASES.replace("PORT", str(port)),
        var=folder,
        seconds=120,
        CRM_CHECK_FOLDER=str(folder),
        CRM_URL=f"http://127.0.0.1:{port}",
        DJANGO_DEBUG="1",
        DJANGO_SETTINGS_MODULE="crm.settings",
    )

    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert [line.split()[-1] for line in lines if line.startswith(("40 ", "B is", "The acc"))] == [
        "ok",
        "DIFFERS",
        "ok",
    ]
    assert "2 passed, 1 failed" in lines
    assert any(line.startswith("--- switch") for line in lines)
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_the_first_signal_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    caught = False

    with interruptible():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except Interrupted:
            caught = True
        os.kill(os.getpid(), number)
        time.sleep(0.01)

    assert caught
    assert signal.getsignal(number) == before
