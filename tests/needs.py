"""`@pytest.mark.needs("postgresql")`: a test that talks to a real service, or runs a program.

Where the service does not answer or the program is missing, the test is skipped with the reason
and the command that installs it. On CI (`CI=true`) it fails instead: there, a promise that nobody
checked is a broken one.
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


SERVICES = {
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

PROGRAMS = {"curl": "apt-get install curl"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"needs(*names): uses the real {', '.join([*SERVICES, *PROGRAMS])}"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in _needs(item):
            if name not in SERVICES and name not in PROGRAMS:
                known = ", ".join([*SERVICES, *PROGRAMS])
                raise pytest.UsageError(f"{item.nodeid} needs {name!r}, which is none of {known}.")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in _needs(item):
        reason = _missing(name)
        if reason and os.environ.get("CI", "").lower() in TRUE:
            pytest.fail(f"{reason} (on CI nothing may be skipped)", pytrace=False)
        if reason:
            pytest.skip(reason)


def _missing(name: str) -> str:
    """Why it cannot be used, and what to do about it; "" when it can."""
    if name in PROGRAMS:
        return "" if shutil.which(name) else f"no {name} here; to have it: {PROGRAMS[name]}"
    service = SERVICES[name]
    host, port = service.address()
    if _answers(host, port):
        return ""
    return f"{name} does not answer at {host}:{port}; to have it: {service.install}"


def _needs(item: pytest.Item) -> list[str]:
    return [name for marker in item.iter_markers("needs") for name in marker.args]


@cache
def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
