"""PostgreSQL's NOTIFY, which wakes the switches. Optional: the switches also poll, and on other
databases they only poll.
"""

from __future__ import annotations

import enum
from typing import Any

from django.db import connection, transaction

CHANNEL = "poketalk_switch"


class Notification(enum.StrEnum):
    """The kind of work that is waiting for the switches."""

    QUEUED = "queued"
    HANG_UP = "hang_up"


def send(notification: Notification) -> None:
    """Notify all switches when the current transaction commits, or now if there is none. Errors are
    logged by Django and raise nothing.

    The NOTIFY runs in its own statement after the commit: PostgreSQL commits transactions that
    contain a NOTIFY one at a time, and admissions must not wait for each other's disk writes.
    """
    if connection.vendor == "postgresql":

        def notify() -> None:  # not a partial: Django logs the name of a function that fails
            _notify(notification)

        transaction.on_commit(notify, robust=True)


def _notify(notification: Notification) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, notification.value])


def connection_parameters() -> dict[str, Any]:
    """The parameters of Django's connection, without those for its class: for one that listens.

    `get_connection_params()` is part of Django's backend API, which is not documented; the tests of
    the listener fail if it changes.
    """
    parameters: dict[str, Any] = connection.get_connection_params()
    return {
        key: value
        for key, value in parameters.items()
        if key not in ("cursor_factory", "context", "prepare_threshold", "autocommit")
    }
