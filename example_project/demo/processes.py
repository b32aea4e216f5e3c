"""Child processes that run together: started, watched, and stopped as one.

Why not honcho or Celery's own commands? `celery multi` and `worker --beat` only run Celery.
honcho's `Manager.loop()` blocks and sets its own signal handlers, so `demo --check` could not place
calls while it runs. It does not know when a program is ready. It stops all programs at once, but
the web server must outlive the switch, which sends its last events to it. And when honcho is
killed, its children keep running.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
STOP_WITHIN = 8.0  # seconds for an orderly end
REMEMBERED = 40  # last lines of each child, for a report of its death

Sink = Callable[[str, str], None]


class ChildDied(Exception):
    """A child process ended unexpectedly, or was not ready in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python module to run, and the pattern in its output that says it is ready to work."""

    name: str
    arguments: Sequence[str]
    ready: str


class Child:
    """A running program. `sink` receives each line it writes, with the program's name."""

    def __init__(self, program: Program, environment: Mapping[str, str], sink: Sink) -> None:
        self.program = program
        self.last_lines: deque[str] = deque(maxlen=REMEMBERED)
        self.is_ready = threading.Event()
        self._sink = sink
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo.child", *program.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the parent alone, which then ends its children
        )
        self._reader = threading.Thread(target=self._read, name=program.name, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.exit_code is None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        """Wait until this time of the monotonic clock for the program to end, then kill it and
        its children.
        """
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._sink(self.program.name, "Killed: it did not stop in time.")
            self._kill()
            self._process.wait()
        self._reader.join(timeout=2)
        if self._process.stdin:
            self._process.stdin.close()

    def _kill(self) -> None:
        if os.name == "posix":
            os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def _read(self) -> None:
        ready = re.compile(self.program.ready)
        if self._process.stdout is None:
            return
        with self._process.stdout as output:
            for line in map(str.rstrip, output):
                self.last_lines.append(line)
                self._sink(self.program.name, line)
                if ready.search(line):
                    self.is_ready.set()


class Stack:
    """Programs that run together. A context manager: on leaving it, no child is left running."""

    def __init__(
        self, programs: Sequence[Program], environment: Mapping[str, str], sink: Sink
    ) -> None:
        self._programs = programs
        self._environment = environment
        self._sink = sink
        self.children: list[Child] = []

    def __enter__(self) -> Stack:
        try:
            for program in self._programs:
                self.children.append(Child(program, self._environment, self._sink))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until all are ready. Raises `ChildDied` if one ends or is not ready in time."""
        until = time.monotonic() + seconds
        for child in self.children:
            while not child.is_ready.wait(0.05):
                self.check()
                if time.monotonic() > until:
                    name = child.program.name
                    raise ChildDied(
                        f"{name} was not ready within {seconds:.0f} s.{_last_lines(child)}"
                    )

    def check(self) -> None:
        """Raise `ChildDied` if a program has ended."""
        for child in self.children:
            if child.exit_code is not None:
                child.wait(time.monotonic())
                name = child.program.name
                raise ChildDied(
                    f"{name} ended with exit code {child.exit_code}.{_last_lines(child)}"
                )

    def stop(self) -> None:
        """Stop all children, the first one last, since the others may still send it something.

        A child that takes longer than `STOP_WITHIN` seconds is killed.
        """
        for group in (self.children[1:], self.children[:1]):
            until = time.monotonic() + STOP_WITHIN
            for child in group:
                child.terminate()
            for child in group:
                child.wait(until)
        self.children.clear()


def _last_lines(child: Child) -> str:
    return "".join(f"\n  {line}" for line in ("", "Its last lines were:", *child.last_lines))
