"""Checks that both halves share: settings, database, clock and static files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as project
from django.core import checks
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext_lazy as _

from .checking import Check, Finding, Options, error, info, ok, warning

#: The database's clock as seen from Python: aware, or UTC.
NOW = {
    "postgresql": "SELECT clock_timestamp()",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}
CLOCKS_DIFFER = 2.0  # seconds, from which on it is worth a warning
CLOCKS_WRONG = 30.0  # seconds, from which on calls expire too early or too late
COMMAND = "python manage.py"


def halves() -> list[AppConfig]:
    """The installed apps with checks of their own, the caller's side first."""
    found = [config for config in apps.get_app_configs() if hasattr(config, "doctor")]
    return sorted(found, key=lambda config: config.label)


def check_settings(options: Options) -> Iterator[Finding]:
    """Our system checks, those of deployments included unless DEBUG is on."""
    ours = tuple(f"{config.label}." for config in halves())
    found = checks.run_checks(include_deployment_checks=not project.DEBUG)
    messages = [each for each in found if (each.id or "").startswith(ours)]
    for message in messages:
        finding = error if message.level >= checks.ERROR else warning
        yield finding(f"{message.msg} ({message.id})", message.hint or "")
    if project.DEBUG:
        yield info("DEBUG is on: this is a development server.")
    elif not messages:
        yield ok("The system checks found nothing, nor did those of deployments.")


def check_database(options: Options) -> Iterator[Finding]:
    """Whether the databases of both halves answer and are migrated, and what they lack."""
    for alias in aliases():
        connection: Any = connections[alias]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        version = ".".join(map(str, connection.get_database_version()))
        name = f"{connection.display_name} {version}"
        waiting = unapplied(alias)
        if waiting:
            yield error(
                f"{name} ({alias}) lacks migrations: {len(waiting)}, such as {waiting[0]}.",
                f"Run {COMMAND} migrate, then restart all processes.",
            )
        else:
            yield ok(f"{name} ({alias}) answers, and all migrations are applied.")
        yield from _features(alias, connection)


def _features(alias: str, connection: Any) -> Iterator[Finding]:
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        if not project.DEBUG:
            yield warning(
                "SQLite serves one process that writes at a time.",
                "Use PostgreSQL or MariaDB for more than a few calls.",
            )
        if connection.transaction_mode != "IMMEDIATE":
            yield warning(
                "Transactions on SQLite fail when two processes write at once.",
                f'Set DATABASES["{alias}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
            )
        return
    if not connection.features.has_select_for_update_skip_locked:
        yield info("The database has no SKIP LOCKED: switches claim one call at a time.")
    if not settings["CONN_MAX_AGE"] and not settings["OPTIONS"].get("pool"):
        yield warning(
            "Each event and request opens a connection to the database of its own.",
            f'Set DATABASES["{alias}"]["CONN_MAX_AGE"] = 60, and CONN_HEALTH_CHECKS = True.',
        )


def unapplied(alias: str) -> list[str]:
    """The migrations of the installed halves that this database still needs."""
    executor = MigrationExecutor(connections[alias])
    labels = {config.label for config in halves()}
    wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] in labels]
    return [f"{each.app_label}.{each.name}" for each, _ in executor.migration_plan(wanted)]


def aliases() -> list[str]:
    """The databases of the installed halves."""
    models = [next(config.get_models()) for config in halves()]
    return sorted({router.db_for_write(model) for model in models})


def check_clock(options: Options) -> Iterator[Finding]:
    """Whether this host's clock agrees with the database's."""
    for alias in aliases():
        connection: Any = connections[alias]
        sql = NOW.get(connection.vendor)
        if sql is None:
            yield info(f"The clock of {connection.display_name} is not known.")
            continue
        with connection.cursor() as cursor:
            before = datetime.now(UTC)
            cursor.execute(sql)
            [found] = cursor.fetchone()
            after = datetime.now(UTC)
        theirs = datetime.fromisoformat(found) if isinstance(found, str) else found
        if theirs.tzinfo is None:
            theirs = theirs.replace(tzinfo=UTC)
        ours = before + (after - before) / 2
        yield compare_clocks((ours - theirs).total_seconds(), "that of the database")


def compare_clocks(seconds: float, other: str) -> Finding:
    """A finding about this host's clock, which is so many seconds ahead of the `other` clock, such
    as "that of the database", or behind it if they are negative.
    """
    by = f"{abs(seconds):.1f} s"
    way = "ahead of" if seconds > 0 else "behind"
    if abs(seconds) < CLOCKS_DIFFER:
        return ok(f"This host's clock and {other} agree within {CLOCKS_DIFFER:.0f} s.")
    finding = warning if abs(seconds) < CLOCKS_WRONG else error
    return finding(
        f"This host's clock is {by} {way} {other}.", "Synchronize the clocks, for example by NTP."
    )


def check_static_files(options: Options) -> Iterator[Finding]:
    """Whether the storage of static files has those of the installed halves, and not old ones."""
    if not apps.is_installed("django.contrib.staticfiles"):
        yield info("django.contrib.staticfiles is not installed: serve the files in another way.")
        return
    if project.DEBUG:
        yield info("DEBUG is on: runserver serves the files from the packages.")
        return
    from django.contrib.staticfiles.storage import staticfiles_storage

    missing, old, count = [], [], 0
    for name, source in static_files():
        count += 1
        if not staticfiles_storage.exists(name):
            missing.append(name)
        elif source.stat().st_size != staticfiles_storage.size(name):
            old.append(name)
    for names, what in ((missing, "missing"), (old, "of another version")):
        if names:
            yield error(
                f"Of {count} static files, {len(names)} are {what}, such as {names[0]}.",
                f"Run {COMMAND} collectstatic, and check that the web server serves the folder.",
            )
    if not missing and not old:
        yield ok(f"All {count} static files are collected.")


def static_files() -> Iterator[tuple[str, Path]]:
    """The name and the path of each static file of the installed halves."""
    for config in halves():
        folder = Path(config.path) / "static"
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


COMMON_CHECKS = (
    Check("settings", _("Settings"), check_settings),
    Check(
        "database",
        _("Database"),
        check_database,
        advice="Start the database, or correct DATABASES.",
    ),
    Check("clock", _("Clock"), check_clock, needs=("database",)),
    Check("static_files", _("Static files"), check_static_files),
)
