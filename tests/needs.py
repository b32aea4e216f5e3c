"""`@pytest.mark.needs("postgresql")`: a test that uses a real service or program.

If it is missing, the test is skipped with the reason and the command that installs it. With
`CI=true` the test fails instead.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 2.0  # seconds for a connection on loopback
TRUE = {"1", "true", "yes"}


@dataclass(frozen=True, slots=True)
class Service:
    """A server, at the URL in the variable if it has one of the schemes, otherwise on loopback."""

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
    """A program in the PATH, under any of its names."""

    names: tuple[str, ...]
    install: str

    def path(self) -> str | None:
        return next(filter(None, map(shutil.which, self.names)), None)

    def missing(self) -> str:
        return (
            ""
            if self.path()
            else f"is not in the PATH under any of the names {', '.join(self.names)}"
        )


@dataclass(frozen=True, slots=True)
class Compose:
    """Docker Compose: a program of its own, or a plugin of Docker's client. It needs no engine."""

    install: str

    def command(self) -> list[str]:
        """The command that runs it; empty if there is none."""
        for command in (["docker-compose"], ["docker", "compose"]):
            if shutil.which(command[0]):
                done = subprocess.run([*command, "version"], capture_output=True, check=False)
                if done.returncode == 0:
                    return command
        return []

    def missing(self) -> str:
        return "" if self.command() else "is neither a program nor a plugin of docker"


@dataclass(frozen=True, slots=True)
class Module:
    """An optional library."""

    name: str
    install: str

    def missing(self) -> str:
        return "" if find_spec(self.name) else "is not installed"


@dataclass(frozen=True, slots=True)
class Libraries:
    """Shared libraries of the system, and the Debian packages that contain them."""

    names: tuple[str, ...]
    packages: str

    @property
    def install(self) -> str:
        return f"apt-get install {self.packages}"

    def missing(self) -> str:
        missing = [name for name in self.names if not _loads(name)]
        return f"lacks {', '.join(missing)}" if missing else ""


@dataclass(frozen=True, slots=True)
class NodePackage:
    """An npm package of exactly this version, in the folder `node_modules` of the checkout."""

    name: str
    version: str

    @property
    def folder(self) -> Path:
        return ROOT / "node_modules" / self.name

    @property
    def install(self) -> str:
        return f"npm install --no-save --no-package-lock --prefix . {self.name}@{self.version}"

    def missing(self) -> str:
        description = self.folder / "package.json"
        if not description.is_file():
            return "is not in node_modules/"
        found = json.loads(description.read_text())["version"]
        return "" if found == self.version else f"is version {found}, not {self.version}"


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
COMPOSE = Compose("apt-get install --no-install-recommends docker-compose")
CURL = Program(("curl",), "apt-get install curl")
AXE = NodePackage("axe-core", "4.14.1")
TURBO = NodePackage("@hotwired/turbo", "8.0.23")
POSTGRES = Program(  # Debian keeps it out of the PATH
    ("postgres", *map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres"))),
    "apt-get install postgresql",
)
SIPP = Program(("sipp",), "apt-get install sip-tester")
SIPPY = Module("sippy", "python -m pip install 'django-poketalk[sip]'")
# Of the Asterisk in `asterisk.FOLDER` of the tests of the Asterisk gateway
ASTERISK = Libraries(
    (
        "libedit.so.2",
        "libjansson.so.4",
        "libsqlite3.so.0",
        "libssl.so.3",
        "libuuid.so.1",
        "libxml2.so.2",
        "libxslt.so.1",
        "libstdc++.so.6",
    ),
    "libedit2 libjansson4 libsqlite3-0 libssl3 libuuid1 libxml2 libxslt1.1 libstdc++6",
)
NEEDS: dict[str, Service | Program | Compose | NodePackage | Module | Libraries] = {
    **SERVICES,
    "chromium": CHROMIUM,
    "compose": COMPOSE,
    "curl": CURL,
    "axe": AXE,
    "turbo": TURBO,
    "postgres": POSTGRES,
    "redis-server": Program(("redis-server",), "apt-get install redis-server"),
    "gettext": Program(("xgettext",), "apt-get install gettext"),
    "nginx": Program(("nginx",), "apt-get install nginx-light"),
    "openssl": Program(("openssl",), "apt-get install openssl"),
    "sipp": SIPP,
    "kamailio": Program(("kamailio",), "apt-get install kamailio"),
    "systemd": Program(("systemd-analyze",), "apt-get install --no-install-recommends systemd"),
    "baresip": Program(("baresip",), "apt-get install baresip-core"),
    "sippy": SIPPY,
    "asterisk": ASTERISK,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"needs(*names): requires a service or program, of {', '.join(NEEDS)}"
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
            skip(f"{name} {why}; to have it: {NEEDS[name].install}")


def skip(reason: str) -> NoReturn:
    """Skip a test because something real is missing, or fail on CI."""
    if os.environ.get("CI", "").lower() in TRUE:
        pytest.fail(f"{reason} (on CI nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


def _needs(item: pytest.Item) -> list[str]:
    return [name for marker in item.iter_markers("needs") for name in marker.args]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@cache
def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
