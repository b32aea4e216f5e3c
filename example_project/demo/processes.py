"""Child processes that run together: started, watched, and stopped as one."""

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
    """A child process ended although nobody had asked it to, or was not ready in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python module to run, and the pattern in its output that says it is ready to work."""

    name: str
    arguments: Sequence[str]
    ready: str


class Child:
    """One running program. Each line that it writes goes to `sink` with the program's name."""

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
        """Ask it to end."""
        if self.exit_code is None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        """Wait for its end up to this time of the monotonic clock, then kill it and all it has
        started.
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
    """Programs that only make sense together. Use it as a context: however that is left, no child
    is.
    """

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
        """Raises `ChildDied` when one ends, or is not ready in time."""
        until = time.monotonic() + seconds
        for child in self.children:
            while not child.is_ready.wait(0.05):
                self.check()
                if time.monotonic() > until:
                    raise ChildDied(
                        f"{child.program.name} was not ready within {seconds:.0f} s.{_told(child)}"
                    )

    def check(self) -> None:
        """Raises `ChildDied` when one has ended."""
        for child in self.children:
            if child.exit_code is not None:
                child.wait(time.monotonic())
                raise ChildDied(
                    f"{child.program.name} ended with exit code {child.exit_code}.{_told(child)}"
                )

    def stop(self) -> None:
        """End all children: the first one last, since others may have something left to tell it.

        Whoever takes longer than `STOP_WITHIN` seconds is killed.
        """
        for group in (self.children[1:], self.children[:1]):
            until = time.monotonic() + STOP_WITHIN
            for child in group:
                child.terminate()
            for child in group:
                child.wait(until)
        self.children.clear()


def _told(child: Child) -> str:
    return "".join(f"\n  {line}" for line in ("", "Its last lines were:", *child.last_lines))
