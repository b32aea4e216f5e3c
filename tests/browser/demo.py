"""The demo in a separate process: web, worker, beat and switch, with simulated phones."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.example.conftest import PROJECT, environment

SPEED = 10  # call seconds per real second
START_TIMEOUT = 180.0  # seconds, on a busy machine


@contextmanager
def running(var: Path) -> Iterator[str]:
    """Run the demo until the block ends. Yield its address; `var` is the folder for its files."""
    from demo import ports

    port = ports.any_free()
    output = var / "demo.log"
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "manage.py", "demo", f"--port={port}", f"--speed={SPEED}"],
            cwd=PROJECT,
            env=environment(var),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + START_TIMEOUT
        while "is ready" not in output.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"The demo did not start:\n{output.read_text()}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def place_call(address: str, contact: str) -> int:
    """Press the call button on a contact's page as user `demo`. Return the call's primary key."""
    from demo.visitor import Visitor

    visitor = Visitor(address)
    visitor.log_in("demo", "demo")
    return int(visitor.press_call(contact))
