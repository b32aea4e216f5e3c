"""`manage.py demo`: runs the whole example with one command; `--check` tries every outcome of a
call.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection, connections
from django.db.migrations.exceptions import InconsistentMigrationHistory, NodeNotFoundError
from kombu.exceptions import OperationalError

from contacts import demo_data
from crm.celery import app
from crm.environment import private_file
from demo import ports
from demo.apps import FAST_PHONES
from demo.check import Check
from demo.console import Files, LogHandler, Screen
from demo.interrupts import Interrupted, interruptible, own_foreground
from demo.processes import ChildDied, Stack
from demo.programs import programs

PORT = 8000
SPEED = 10.0
CHECK_SPEED = 20.0
FOLDER = "CRM_CHECK_FOLDER"  # set in the isolated process of a check
READY_WITHIN = 60.0  # seconds
TAIL = 40  # lines of each log that a failed check shows


class OtherTables(Exception):
    """The tables are not those of this copy's models."""


class Command(BaseCommand):
    help = "Runs the web server, Celery worker, Celery beat and switch together, with demo data."
    requires_system_checks = ()  # the child processes run them, with the API key set

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, help="Port of the site (8000; with --check any free port)."
        )
        parser.add_argument(
            "--speed",
            type=float,
            help="Seconds of a simulated call per real second (10; with --check 20).",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="Try each outcome and response code, print a table, exit with 1 if one differs.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "The demo has users with well-known passwords, so it only runs as a development"
                " server: unset DJANGO_DEBUG."
            )
        check: bool = options["check"]
        speed: float = options["speed"] or (CHECK_SPEED if check else SPEED)
        if not 0 < speed <= 1000:
            raise CommandError(f"--speed {speed:g} is not between 0 and 1000.")
        port: int = options["port"] or (ports.any_free() if check else PORT)
        if not 0 < port < 65536:
            raise CommandError(f"--port {port} is not between 1 and 65535.")
        if not ports.is_free(port):
            raise CommandError(
                f"Port {port} is taken by another program, perhaps another demo. Choose another"
                f" port: tox run -e demo -- --port {port + 1 if port < 65535 else PORT}"
            )
        if check and FOLDER not in os.environ:
            _restart_isolated(port, speed)
        with interruptible(), own_foreground():
            try:
                self._check(port, speed) if check else self._serve(port, speed)
            except ChildDied as death:
                raise CommandError(str(death)) from death
            except Interrupted:
                self._say("Stopped.")
                if check:
                    sys.exit(130)

    def _say(self, text: str) -> None:
        """Write a line and flush it, so that it also appears in a pipe, unless its reader is gone,
        as that of tox may be after Ctrl-C.
        """
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _serve(self, port: int, speed: float) -> None:
        self._say("Preparing the database and starting ...")
        environment = _prepare(port, "demo")
        with Stack(programs(port, speed, settings.VAR), environment, Screen(sys.stdout)) as stack:
            stack.wait_until_ready(READY_WITHIN)
            self._say(
                f"\n  Ringdove is ready: http://{ports.HOST}:{port}/\n"
                "  Log in as demo with the password demo (or as agent, agent).\n"
                f"  Simulated phones run at {speed:g} times real time."
                " Ctrl-C stops everything.\n\n"
            )
            try:
                while True:
                    stack.check()
                    time.sleep(0.2)
            except Interrupted:
                self._say("\nStopping ...")
                raise

    def _check(self, port: int, speed: float) -> None:
        """Run the check in the folder that `_restart_isolated` made, and remove it at the end."""
        logs = Files(settings.VAR / "logs")
        logging.getLogger().handlers = [LogHandler(logs, "check")]
        try:
            environment = _prepare(port, "check")
            with Stack(programs(port, speed, settings.VAR), environment, logs) as stack:
                stack.wait_until_ready(READY_WITHIN)
                check = Check(sys.stdout, stack.check, lambda: logs.tail(TAIL))
                check.run()
            if check.failed:
                sys.exit(1)
        except ChildDied:
            self._say(logs.tail(TAIL))
            raise
        finally:
            connections.close_all()
            _remove_queue()
            shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


def _prepare(port: int, key_label: str) -> dict[str, str]:
    """Migrate, load the data, and return the environment for the child processes, with the site's
    address and a new API key.
    """
    _migrate()
    site = f"http://{ports.HOST}:{port}"
    key = demo_data.load(key_label)
    connections.close_all()
    return {
        **os.environ,
        "CRM_URL": site,
        "POKETALK_URL": f"{site}/index.php/api/click2call",
        "POKETALK_CALLS_API": f"{site}/api/",
        "POKETALK_API_KEY": key,
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        FAST_PHONES: "1",
    }


def _migrate() -> None:
    """Migrate. A SQLite database that cannot be migrated, since an older copy of the demo has made
    it, is set aside, and a new one is made.
    """
    try:
        _migrate_as_it_is()
    except (DatabaseError, InconsistentMigrationHistory, NodeNotFoundError, OtherTables) as error:
        connections.close_all()
        file = Path(settings.DATABASES["default"]["NAME"])
        if connection.vendor != "sqlite" or not file.is_relative_to(settings.VAR):
            raise CommandError(
                f"The demo's database was made by another copy ({error}). Delete {file}, and start"
                " again."
            ) from error
        aside = file.with_name(f"{file.name}.old")
        file.replace(aside)
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        print(f"The demo's database was made by another copy. It is now {aside}.", flush=True)
        private_file(file)
        _migrate_as_it_is()


def _migrate_as_it_is() -> None:
    """Migrate. Raises `OtherTables` if a column is missing in the end, which an older copy has not
    made in an earlier form of a migration.
    """
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            # Django's introspection of SQLite cannot read the expressions of generated columns.
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} LIMIT 0")  # noqa: S608
            there = {column[0] for column in cursor.description}
            for field in model._meta.concrete_fields:
                if field.column not in there:
                    raise OtherTables(f"{table} has no {field.column}")


def _restart_isolated(port: int, speed: float) -> NoReturn:
    """Replace this process with one whose settings use an empty folder and a queue of its own."""
    folder = tempfile.mkdtemp(prefix="ringdove-check-")
    environment = {
        **os.environ,
        FOLDER: folder,
        "CRM_VAR": folder,
        "CRM_URL": f"http://{ports.HOST}:{port}",
        "CRM_QUEUE": f"crm-check-{os.getpid()}",
    }
    arguments = ["demo", "--check", f"--port={port}", f"--speed={speed:g}"]
    sys.stdout.flush()
    os.execve(  # noqa: S606  # no shell, and nothing of it comes from outside
        sys.executable,
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
        environment,
    )


def _remove_queue() -> None:
    """Delete the queue: the broker may be shared."""
    with app.connection_for_write() as connection, suppress(OperationalError):
        connection.ensure_connection(max_retries=1)
        connection.default_channel.queue_delete(settings.CELERY_TASK_DEFAULT_QUEUE)
