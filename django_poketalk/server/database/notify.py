"""PostgreSQL's NOTIFY, which wakes the switches. Optional: the switches also poll, and on other
databases they only poll.
"""

from __future__ import annotations

import enum

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
