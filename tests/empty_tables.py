"""After a test with transactions, its rows are deleted in milliseconds.

Django's own way truncates all tables and creates again what receivers of `post_migrate` create,
which takes PostgreSQL and MariaDB up to a second for each test. Here, those rows stay.
"""

from __future__ import annotations

import pytest
from django.db import connections, transaction
from django.test import TransactionTestCase

KEPT = {"django_content_type", "auth_permission", "poketalk_caplock"}


def delete_rows(case: TransactionTestCase) -> None:
    """Delete all rows, also those that a transaction of another connection is about to commit."""
    for alias in case._databases_names(include_mirrors=False):
        connection = connections[alias]
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        tables = [connection.ops.quote_name(name) for name in names if name not in KEPT]
        with (
            connection.constraint_checks_disabled(),
            transaction.atomic(using=alias),
            connection.cursor() as cursor,
        ):
            if connection.vendor == "postgresql":  # whose DELETE does not wait for new rows
                cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    TransactionTestCase._fixture_teardown = delete_rows  # type: ignore[method-assign]
