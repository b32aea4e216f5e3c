"""Where the children's lines go: onto the screen, or into files."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from pathlib import Path
from typing import TextIO

WIDTH = 6  # of the longest program name
COLOURS = {"web": "36", "worker": "33", "beat": "35", "switch": "32"}

# What comes all the time and is hardly ever news; and how to stop, which the demo itself explains.
TOO_MUCH = re.compile(
    r'poketalk[.-]sweep|^Quit the server with|"GET /(static/|favicon\.ico|admin/jsi18n/)'
)


class Screen:
    """Writes each line behind the name of its program; in colour on a terminal, unless NO_COLOR is
    set.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        if line.strip() and not TOO_MUCH.search(line):
            with self._lock:
                try:
                    self._stream.write(f"{self._prefix(name)} {line}\n")
                    self._stream.flush()
                except OSError:  # nobody reads any more, as after `| head`: then it is time to end
                    os.kill(os.getpid(), signal.SIGTERM)

    def _prefix(self, name: str) -> str:
        prefix = f"{name:<{WIDTH}} |"
        return f"\x1b[{COLOURS.get(name, '0')}m{prefix}\x1b[0m" if self._in_colour else prefix


class Files:
    """Writes each line to the file of its program."""

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
    """What this process itself logs, among the lines of its children."""

    def __init__(self, files: Files, name: str) -> None:
        super().__init__()
        self._files = files
        self._name = name

    def emit(self, record: logging.LogRecord) -> None:
        self._files(self._name, self.format(record))
