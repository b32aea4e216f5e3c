"""Child processes are awaited, watched, and stopped in every case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo import processes
from demo.processes import ChildDied, Program, Stack

from .conftest import PROJECT

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
WILLING = """
import time
print("ready", flush=True)
time.sleep(600)
"""
DYING = """
import sys, time
print("ready", flush=True)
print("out of cheese", flush=True)
sys.exit(7)
"""
NEVER_READY = "import time; time.sleep(600)"


@pytest.fixture
def lines() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules children can run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def program(scripts: Path, name: str, source: str) -> Program:
    (scripts / f"child_{name}.py").write_text(source)
    return Program(name, [f"child_{name}"], ready="^ready$")


def stack(lines: list[tuple[str, str]], *programs: Program) -> Stack:
    return Stack(programs, os.environ, lambda name, line: lines.append((name, line)))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_until_gone(*pids: int) -> None:
    until = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, "A child was left behind."
        time.sleep(0.05)


def test_children_are_gone_when_the_stack_is_left(
    scripts: Path, lines: list[tuple[str, str]]
) -> None:
    with stack(lines, program(scripts, "one", WILLING), program(scripts, "two", WILLING)) as both:
        both.wait_until_ready(30)
        pids = [child.pid for child in both.children]
        assert all(is_alive(pid) for pid in pids)

    assert not any(is_alive(pid) for pid in pids)
    assert sorted(lines) == [("one", "ready"), ("two", "ready")]


def test_an_error_leaves_no_child_running(scripts: Path, lines: list[tuple[str, str]]) -> None:
    pids = []

    def fail() -> None:
        with stack(lines, program(scripts, "one", WILLING)) as one:
            one.wait_until_ready(30)
            pids.extend(child.pid for child in one.children)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert pids
    assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_does_not_stop_is_killed(
    scripts: Path, lines: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_WITHIN", 0.5)
    with stack(lines, program(scripts, "mule", STUBBORN)) as one:
        one.wait_until_ready(30)
        [child] = one.children

    assert not is_alive(child.pid)
    assert ("mule", "Killed: it did not stop in time.") in lines


def test_a_death_is_reported_with_the_last_lines(
    scripts: Path, lines: list[tuple[str, str]]
) -> None:
    reported = ""
    with stack(lines, program(scripts, "one", WILLING), program(scripts, "two", DYING)) as both:
        until = time.monotonic() + 30
        while not reported and time.monotonic() < until:
            try:
                both.check()
            except ChildDied as death:
                reported = str(death)
            time.sleep(0.05)

    assert reported.startswith("two ended with exit code 7.")
    assert "out of cheese" in reported


def test_a_child_that_is_never_ready_is_reported(
    scripts: Path, lines: list[tuple[str, str]]
) -> None:
    with (
        stack(lines, program(scripts, "mute", NEVER_READY)) as one,
        pytest.raises(ChildDied, match="mute was not ready within 1 s"),
    ):
        one.wait_until_ready(1)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
@pytest.mark.parametrize("source", [WILLING, STUBBORN], ids=["willing", "stubborn"])
def test_children_end_when_their_parent_is_killed(scripts: Path, source: str) -> None:
    program(scripts, "orphan", source)
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, time\n"
            "from demo.processes import Program, Stack\n"
            "program = Program('orphan', ['child_orphan'], ready='^ready$')\n"
            "with Stack([program], os.environ, lambda name, line: None) as stack:\n"
            "    stack.wait_until_ready(30)\n"
            "    print(stack.children[0].pid, flush=True)\n"
            "    time.sleep(600)\n",
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())

        parent.send_signal(signal.SIGKILL)

    wait_until_gone(pid)
