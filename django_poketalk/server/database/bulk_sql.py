"""Many rows of one table written in one statement or few, without the ORM's building of each: that
costs ten times what the statement does. Names of tables and columns come from the models, values
are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict

Values = Mapping[str, Any]  # by names of fields


def insert(
    model: type[models.Model], rows: Sequence[Values], *, unless_there: bool = False
) -> None:
    """Insert rows that all name the same fields; the others are to be null by default. With
    `unless_there`, those that break a unique constraint are left out.
    """
    if not rows:
        return
    connection = connections[DEFAULT_DB_ALIAS]  # looked up once: `db.connection` does at each use
    fields = [model._meta.get_field(name) for name in rows[0]]
    row = f"({', '.join(['%s'] * len(fields))})"
    on_conflict = OnConflict.IGNORE if unless_there else None
    sql = " ".join(
        [
            connection.ops.insert_statement(on_conflict=on_conflict),
            connection.ops.quote_name(model._meta.db_table),
            f"({', '.join(_quoted(connection, field) for field in fields)})",
            f"VALUES {', '.join([row] * len(rows))}",
            connection.ops.on_conflict_suffix_sql([], on_conflict, [], []),
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql, [value for each in rows for value in _prepared(connection, fields, each.values())]
        )


def update(
    model: type[models.Model],
    keys: Sequence[str],
    rows: Sequence[tuple[Values, tuple[Any, ...]]],
    also_set: str = "",
    only: str = "",
) -> int:
    """Update one row for each of `rows`: new values, and the values of its keys. All set the same
    fields. `also_set` and `only` are SQL. How many rows there were.
    """
    if not rows:
        return 0
    connection = connections[DEFAULT_DB_ALIAS]
    names = list(rows[0][0])
    fields = [model._meta.get_field(name) for name in (*names, *keys)]
    assignments = [f"{_quoted(connection, field)} = %s" for field in fields[: len(names)]]
    conditions = [f"{_quoted(connection, field)} = %s" for field in fields[len(names) :]]
    sql = " ".join(
        [
            f"UPDATE {connection.ops.quote_name(model._meta.db_table)}",
            f"SET {', '.join(filter(None, [*assignments, also_set]))}",
            f"WHERE {' AND '.join(filter(None, [*conditions, only]))}",
        ]
    )
    parameters = [_prepared(connection, fields, (*values.values(), *key)) for values, key in rows]
    with connection.cursor() as cursor:
        if len(parameters) == 1:
            cursor.execute(sql, parameters[0])
        else:
            cursor.executemany(sql, parameters)
        return int(cursor.rowcount)


def quoted(model: type[models.Model], name: str) -> str:
    """A field's column, as it stands in SQL."""
    return _quoted(connections[DEFAULT_DB_ALIAS], model._meta.get_field(name))


def _quoted(connection: BaseDatabaseWrapper, field: Any) -> str:
    return connection.ops.quote_name(field.column)


def _prepared(
    connection: BaseDatabaseWrapper, fields: Sequence[Any], values: Iterable[Any]
) -> list[Any]:
    return [
        field.get_db_prep_save(value, connection)
        for field, value in zip(fields, values, strict=True)
    ]
