"""Updates of many rows, each with its own values and keys, in one `executemany`.

The ORM's `bulk_update` cannot check each row's fence, and a `QuerySet.update` for each row costs
more than the statement itself: for 20 rows, `python -m tests.benchmarks.bulk_writes` (CPU time of
the process, medians, Python 3.12, Django 6.1) measures

===========  ========  ==============  ==============
database     here      `update`        `bulk_update`
===========  ========  ==============  ==============
PostgreSQL   0.7 ms    5.6 ms (8x)     8.0 ms (12x)
SQLite       0.2 ms    2.8 ms (15x)    7.1 ms (37x)
===========  ========  ==============  ==============

Names of tables and columns come from the models; values are parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

Values = Mapping[str, Any]  # by names of fields


def update(
    model: type[models.Model],
    keys: Sequence[str],
    rows: Sequence[tuple[Values, tuple[Any, ...]]],
    also_set: str = "",
    only: str = "",
) -> int:
    """Update one row for each of `rows`: its new values, and the values of its `keys`. All set the
    same fields. `also_set` and `only` are SQL for SET and WHERE. Returns the number of rows found.
    """
    if not rows:
        return 0
    connection = connections[DEFAULT_DB_ALIAS]  # once; `db.connection` looks it up at each use
    names = list(rows[0][0])
    fields = [model._meta.get_field(name) for name in (*names, *keys)]
    equations = [f"{quoted(model, name)} = %s" for name in (*names, *keys)]
    assignments, conditions = equations[: len(names)], equations[len(names) :]
    sql = " ".join(
        [
            f"UPDATE {connection.ops.quote_name(model._meta.db_table)}",
            f"SET {', '.join(filter(None, [*assignments, also_set]))}",
            f"WHERE {' AND '.join(filter(None, [*conditions, only]))}",
        ]
    )
    parameters = [
        [
            field.get_db_prep_save(value, connection)  # type: ignore[union-attr]
            for field, value in zip(fields, (*values.values(), *key), strict=True)
        ]
        for values, key in rows
    ]
    with connection.cursor() as cursor:
        if len(parameters) == 1:
            cursor.execute(sql, parameters[0])
        else:
            cursor.executemany(sql, parameters)
        return int(cursor.rowcount)


def quoted(model: type[models.Model], name: str) -> str:
    """A field's column as it appears in SQL."""
    column: Any = model._meta.get_field(name)
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(column.column)
