"""A PostgreSQL of the tests' own, which they can freeze, stop and start again."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, connections

from .needs import POSTGRES

OWNER = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root


class OwnPostgreSQL:
    """A server on loopback, with its data in `folder`."""

    def __init__(self, folder: str) -> None:
        self._program = Path(POSTGRES.path() or "")
        self._data = f"{folder}/data"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k ''"
        log = f"{self._data}/log"
        self._run("pg_ctl", "-D", self._data, "-o", options, "-l", log, "-t", "120", "-w", "start")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self.signal(signal.SIGCONT)
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes: SIGSTOP freezes it, SIGCONT lets it go on."""
        postmaster = int(Path(self._data, "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, number)  # first, so that it starts no more
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def _run(self, name: str, *arguments: str) -> None:
        program = str(self._program.with_name(name))
        quiet = subprocess.DEVNULL
        subprocess.run([program, *arguments], check=True, stdout=quiet, cwd="/", user=OWNER)


@contextlib.contextmanager
def own_postgresql(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnPostgreSQL]:
    """A server with all tables, for all connections but the one of this thread, which must be to
    PostgreSQL too.
    """
    connection.ensure_connection()
    with tempfile.TemporaryDirectory() as folder:
        if OWNER is not None:
            os.chown(folder, pwd.getpwnam(OWNER).pw_uid, -1)
        server = OwnPostgreSQL(folder)
        facts = {"HOST": "127.0.0.1", "PORT": server.port, "NAME": "postgres", "USER": "postgres"}
        for name, value in facts.items():
            monkeypatch.setitem(connections.settings["default"], name, value)
        try:
            _create_tables()
            yield server
        finally:
            server.stop()


def _create_tables() -> None:
    """Create them from the models: migrations would take longer."""
    fresh = connections.create_connection("default")
    try:
        with fresh.schema_editor() as editor:
            for model in apps.get_models():
                editor.create_model(model)
    finally:
        fresh.close()
