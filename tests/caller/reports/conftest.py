"""Fixtures for the tests of reports."""

from __future__ import annotations

import pytest
from django.db import connection

from tests import needs


@pytest.fixture
def zones(db: None) -> None:
    """Days of time zones, which the database computes. A new MariaDB knows none."""
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT CONVERT_TZ('2026-01-01', 'UTC', 'Asia/Kolkata')")
            if cursor.fetchone()[0] is None:
                needs.skip(
                    "this MariaDB knows no time zones; to have them: "
                    "mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql"
                )
