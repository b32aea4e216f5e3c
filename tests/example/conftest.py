"""Fixtures that run the example project by its own `manage.py`, as its users do."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PROJECT = REPOSITORY / "example_project"
sys.path.append(str(PROJECT))  # for its package `demo`; nothing here imports its settings

NOT_INHERITED = ("DJANGO_", "CRM_", "POKETALK_", "CELERY_", "DATABASE_URL")

Manage = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(var: Path, **changes: str) -> dict[str, str]:
    """This process's environment, without variables that the example reads."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
    paths = os.pathsep.join(
        path for path in (inherited.get("PYTHONPATH"), str(PROJECT), str(REPOSITORY)) if path
    )
    return {**inherited, "PYTHONPATH": paths, "CRM_VAR": str(var), **changes}


def run(
    *arguments: str, var: Path, seconds: float = 60, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run `python *arguments` in the example's folder and wait for it."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment(var, **changes),
        capture_output=True,
        text=True,
        timeout=seconds,
    )


@pytest.fixture
def manage(tmp_path: Path) -> Manage:
    """`manage(command, ..., NAME=value)` runs a command on a database of its own."""

    def manage(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return run("manage.py", *arguments, var=tmp_path, **changes)

    return manage


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running example with its demo data, without worker and switch."""
    from demo import ports

    var = tmp_path_factory.mktemp("site")
    address = f"http://127.0.0.1:{ports.any_free()}"
    script = "from contacts import demo_data; demo_data.load('tests')"
    for arguments in (("migrate", "--verbosity=0"), ("shell", "--command", script)):
        done = run("manage.py", *arguments, var=var, CRM_URL=address)
        assert done.returncode == 0, done.stderr
    web = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", address.removeprefix("http://"), "--noreload"],
        cwd=PROJECT,
        env=environment(var, CRM_URL=address),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(address, web)
        yield address
    finally:
        web.terminate()
        web.wait(10)


def _wait_for(address: str, web: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and web.poll() is None:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(f"{address}/login/", timeout=10).raise_for_status()
            return
        time.sleep(0.1)
    pytest.fail("The site did not start.")
