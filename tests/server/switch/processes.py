"""Switches in separate processes, on the tests' database."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.db import connection

from django_poketalk.server.models import Call

from .conftest import PATIENCE, SPEED

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def switch(
    *arguments: str, speed: float = SPEED, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A switch in a separate process, on the tests' database."""
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "poketalk_switch", "--speed", f"{speed:g}", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.server.switch.switch_settings",
            "SWITCH_DATABASE": str(connection.settings_dict["NAME"]),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        sys.stdout.write(process.communicate()[0])  # pytest prints it if the test fails


def wait_for(holds: Callable[[], Any], patience: float = 3 * PATIENCE) -> None:
    """Wait until `holds` returns True, for up to `patience` real seconds: on a busy host, a switch
    takes long to start.
    """
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.05)


def talking(call: Call) -> Callable[[], bool]:
    return lambda: Call.objects.filter(pk=call.pk, status=7).exists()
