"""`@pytest.mark.needs("postgresql")`: a test that talks to a real service, or runs a real program.

Where that is missing, the test is skipped with the reason and the command that installs it. On CI
(`CI=true`) it fails instead: there, a promise that nobody checked is a broken one.
"""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import pytest

PATIENCE = 2.0  # seconds for a connection on loopback
TRUE = {"1", "true", "yes"}


@dataclass(frozen=True, slots=True)
class Service:
    """A server, expected on loopback unless the environment variable has a URL of its schemes."""

    variable: str
    schemes: tuple[str, ...]
    port: int
    install: str

    def address(self) -> tuple[str, int]:
        url = urlsplit(os.environ.get(self.variable, ""))
        if url.scheme not in self.schemes:
            return "127.0.0.1", self.port
        return url.hostname or "127.0.0.1", url.port or self.port

    def missing(self) -> str:
        host, port = self.address()
        return "" if _answers(host, port) else f"does not answer at {host}:{port}"


@dataclass(frozen=True, slots=True)
class Program:
    """A program in the PATH, by any of its names."""

    names: tuple[str, ...]
    install: str

    def path(self) -> str | None:
        return next(filter(None, map(shutil.which, self.names)), None)

    def missing(self) -> str:
        return "" if self.path() else f"is not in the PATH, as none of {', '.join(self.names)}"


CHROMIUM = Program(
    ("chromium", "chromium-browser", "google-chrome"),
    "apt-get install --no-install-recommends chromium",
)
SERVICES: dict[str, Service] = {
    "postgresql": Service(
        "DATABASE_URL", ("postgres", "postgresql"), 5432, "apt-get install postgresql"
    ),
    "mariadb": Service("DATABASE_URL", ("mysql",), 3306, "apt-get install mariadb-server"),
    "redis": Service(
        "CELERY_BROKER_URL", ("redis", "rediss"), 6379, "apt-get install redis-server"
    ),
    "rabbitmq": Service(
        "CELERY_BROKER_URL", ("amqp", "amqps"), 5672, "apt-get install rabbitmq-server"
    ),
}
CURL = Program(("curl",), "apt-get install curl")
NEEDS: dict[str, Service | Program] = {**SERVICES, "chromium": CHROMIUM, "curl": CURL}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"needs(*names): wants something real, of {', '.join(NEEDS)}"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in _needs(item):
            if name not in NEEDS:
                known = ", ".join(NEEDS)
                raise pytest.UsageError(f"{item.nodeid} needs {name!r}, which is none of {known}.")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in _needs(item):
        if why := NEEDS[name].missing():
            reason = f"{name} {why}; to have it: {NEEDS[name].install}"
            if os.environ.get("CI", "").lower() in TRUE:
                pytest.fail(f"{reason} (on CI nothing may be skipped)", pytrace=False)
            pytest.skip(reason)


def _needs(item: pytest.Item) -> list[str]:
    return [name for marker in item.iter_markers("needs") for name in marker.args]


@cache
def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
