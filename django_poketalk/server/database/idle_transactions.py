"""Limits how long rows stay locked if a process stops in the middle of a transaction, because it is
frozen or its host is lost. Without a limit, the database keeps the locks for hours.
"""

from __future__ import annotations

from django.db import connection

LIMIT = 10  # seconds


def limit_idle_transactions() -> None:
    """Connect, and have the database roll back a transaction of this connection, and close the
    connection, after `LIMIT` seconds without a statement. MySQL and SQLite have no such limit.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{LIMIT}s'")
        elif getattr(connection, "mysql_is_mariadb", False):
            cursor.execute(f"SET SESSION idle_transaction_timeout = {LIMIT}")
