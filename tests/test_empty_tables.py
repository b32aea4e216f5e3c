"""What is left after a test with transactions."""

from __future__ import annotations

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection
from django.test import TransactionTestCase

from .empty_tables import delete_rows
from .server.conftest import make_customer


def counts() -> dict[str, int]:
    """The number of rows of each table that has rows."""
    with connection.cursor() as cursor:
        rows = {}
        for table in connection.introspection.django_table_names(only_existing=True):
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")
            if number := cursor.fetchone()[0]:
                rows[table] = number
    return rows


@pytest.mark.django_db(transaction=True)
def test_exactly_the_rows_of_a_new_database_are_left() -> None:
    make_customer()

    delete_rows(TransactionTestCase("run"))

    left = counts()
    emit_post_migrate_signal(verbosity=0, interactive=False, db=connection.alias)
    assert left == counts()
    assert "poketalk_server_account" not in left
