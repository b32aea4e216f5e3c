"""Waking the switches: on PostgreSQL by NOTIFY, once what they are to see is committed. Elsewhere
nothing is told, and the switches look by themselves, as they also do where a word is lost.
"""

from __future__ import annotations

import enum

from django.db import connection, transaction

CHANNEL = "poketalk_switch"


class News(enum.StrEnum):
    """What there is to look for."""

    QUEUED = "queued"
    HANG_UP = "hang_up"


def tell(news: News) -> None:
    """Tell all switches when the current transaction is committed; at once, where there is none.

    In a statement of its own: PostgreSQL lets one transaction with a NOTIFY commit at a time, and
    admissions are not to wait for each other's disk. What goes wrong is logged by Django, and hurts
    nothing.
    """
    if connection.vendor == "postgresql":

        def notify() -> None:
            _notify(news)

        transaction.on_commit(notify, robust=True)


def _notify(news: News) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(news)])
