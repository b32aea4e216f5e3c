"""The database's clock, which all hosts share. All stored times, leases and days come from this
clock, so that the hosts' own clocks may be wrong by any amount.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import connection
from django.db.models.functions import Now
from django.db.models.sql import Query


class DatabaseNow(Now):
    """The time of the statement by the database's clock, as an expression."""

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """SQL for MySQL. Times are stored in UTC; `CURRENT_TIMESTAMP` uses the session's zone."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """SQL for SQLite, which compares times as text: with the six decimals of stored ones."""
        template = "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')"
        return self.as_sql(compiler, connection, template=template, **extra)


def now_sql() -> str:
    """The same as SQL, for raw statements on this connection."""
    return _now_sql(connection.vendor)


@cache
def _now_sql(vendor: str) -> str:
    compiler = Query(None).get_compiler(connection=connection)
    sql, _params = compiler.compile(DatabaseNow())
    return str(sql)


def database_now() -> datetime:
    """The database's current time, aware."""
    with connection.cursor() as cursor:
        # With parameters, because its percent signs are doubled.
        cursor.execute(f"SELECT {now_sql()}", [])
        [found] = cursor.fetchone()
    # SQLite returns text.
    moment: datetime = datetime.fromisoformat(found) if isinstance(found, str) else found
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
