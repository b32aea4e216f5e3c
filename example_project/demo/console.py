"""Output of the child processes: on the screen or in files."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from pathlib import Path
from typing import TextIO

WIDTH = 6  # of the longest program name
COLORS = {"web": "36", "worker": "33", "beat": "35", "switch": "32"}

# Frequent lines that say little, and how to stop, which the demo explains itself.
NOISE = re.compile(
    r'poketalk[.-]sweep|^Quit the server with|"GET /(static/|favicon\.ico|admin/jsi18n/)'
)


class Screen:
    """Writes each line, prefixed with its program's name; in color on a terminal unless NO_COLOR is
    set.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_color = stream.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        if line.strip() and not NOISE.search(line):
            with self._lock:
                try:
                    self._stream.write(f"{self._prefix(name)} {line}\n")
                    self._stream.flush()
                except OSError:  # the reader is gone, as after `| head`: stop
                    os.kill(os.getpid(), signal.SIGTERM)

    def _prefix(self, name: str) -> str:
        prefix = f"{name:<{WIDTH}} |"
        return f"\x1b[{COLORS.get(name, '0')}m{prefix}\x1b[0m" if self._in_color else prefix


class Files:
    """Writes each line to its program's file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, line: str) -> None:
        with (self._folder / f"{name}.log").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def tail(self, lines: int) -> str:
        """The last lines of each file."""
        parts = []
        for file in sorted(self._folder.glob("*.log")):
            last = file.read_text(encoding="utf-8").splitlines()[-lines:]
            parts.append("\n".join([f"--- {file.stem}, the last {len(last)} lines", *last]))
        return "\n".join(parts)


class LogHandler(logging.Handler):
    """Writes this process's own log to the files of its children."""

    def __init__(self, files: Files, name: str) -> None:
        super().__init__()
        self._files = files
        self._name = name

    def emit(self, record: logging.LogRecord) -> None:
        self._files(self._name, self.format(record))
