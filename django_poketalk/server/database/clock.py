"""The database's clock, which all hosts share: leases and proofs of life are measured by it alone,
so that the hosts' own clocks may differ.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from ..models import Call


class DatabaseNow(Now):
    """The moment of the statement by the database's clock, as an expression of a query."""

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """In UTC, as Django stores times; `CURRENT_TIMESTAMP` would be the session's."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)


def now_sql() -> str:
    """The same as SQL for a statement of one's own on this connection."""
    compiler = Call.objects.all().query.get_compiler(connection=connection)
    sql, _params = compiler.compile(DatabaseNow())
    return str(sql)


def database_now() -> datetime:
    """Ask the database what time it is; aware."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql()}", [])  # with parameters: it has doubled percent signs
        [found] = cursor.fetchone()
    # SQLite has no type for times.
    moment: datetime = datetime.fromisoformat(found) if isinstance(found, str) else found
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
