"""Statements that write many rows, each with its own values and keys, executed together.

With psycopg 3 on PostgreSQL, `execute` sends all of them in one message, which costs less than an
`executemany` and far less than a round trip for each. Other databases and drivers get an
`executemany` for neighbors with the same SQL.

The ORM's `bulk_update` cannot check each row's fence, and a `QuerySet.update` for each row costs
more than the statement itself: for 20 rows, `python -m tests.benchmarks.bulk_writes` (CPU time of
the process, medians, Python 3.12, Django 6.1) measures

===========  ========  ==============  ==============
database     here      `update`        `bulk_update`
===========  ========  ==============  ==============
PostgreSQL   0.4 ms    5.5 ms (13x)    6.4 ms (15x)
SQLite       0.2 ms    2.8 ms (15x)    7.1 ms (37x)
===========  ========  ==============  ==============

Names of tables and columns come from the models; values are parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain, groupby, islice
from operator import attrgetter, itemgetter
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.constants import OnConflict

Values = Mapping[str, Any]  # by names of fields
Statement = tuple[str, list[Any]]  # with its parameters
Prepare = Callable[[Any, Any], Any]  # of a value, for a connection

# The modules of Django's own fields, without JSON and files
PLAIN_FIELDS = ("django.db.models.fields", "django.db.models.fields.related")


def execute(*parts: Sequence[Statement]) -> list[int]:
    """Execute all statements, in this order. Return the number of rows that each part has written.

    Call it in a transaction: if a statement fails, those before it may have been executed.
    """
    if not any(parts):
        return [0] * len(parts)
    connection = connections[DEFAULT_DB_ALIAS]  # once; `db.connection` looks it up at each use
    with connection.cursor() as cursor:
        raw = cursor.cursor
        if hasattr(raw, "mogrify") and hasattr(raw, "pgresult"):  # psycopg 3, binding in the client
            return _execute_together(cursor, parts)
        return [_execute_part(cursor, part) for part in parts]


def updates(
    model: type[models.Model],
    keys: Sequence[str],
    rows: Sequence[tuple[Values, tuple[Any, ...]]],
    also_set: str = "",
    only: str = "",
) -> list[Statement]:
    """Statements that update one row for each of `rows`: its new values, and the values of its
    `keys`. `also_set` and `only` are SQL for SET and WHERE.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    statements = []
    for values, key in rows:
        sql, prepare = _update(
            connection.vendor, model, (*values, *keys), len(keys), also_set, only
        )
        statements.append((sql, _parameters((*values.values(), *key), prepare, connection)))
    return statements


def inserts(rows: Sequence[models.Model], ignore_conflicts: bool = False) -> list[Statement]:
    """Statements that insert unsaved rows of one model, one each, without setting their primary
    keys. All fields with a database default need a value, and those with `auto_now` as well.
    """
    if not rows:
        return []
    connection = connections[DEFAULT_DB_ALIAS]
    sql, values, prepare = _insert(connection.vendor, type(rows[0]), ignore_conflicts)
    return [(sql, _parameters(values(row), prepare, connection)) for row in rows]


def insert_values(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    unique: Sequence[str] = (),
) -> None:
    """Insert rows of values for the fields `names`, in one `executemany`: for tens of thousands of
    rows. With `unique`, a row that exists with these fields is updated instead. For 50,000 rates,
    `bulk_create` takes four times as long.
    """
    if not rows:
        return
    connection = connections[DEFAULT_DB_ALIAS]
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    suffix = ""
    if unique:
        keys = [field.column for field in fields if field.name in unique]
        others = [field.column for field in fields if field.name not in unique]
        suffix = connection.ops.on_conflict_suffix_sql(fields, OnConflict.UPDATE, others, keys)
    sql = " ".join(
        [
            f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)}",
            f"({', '.join(quoted(model, name) for name in names)})",
            f"VALUES ({', '.join(['%s'] * len(names))})",
            suffix,
        ]
    )
    columns = [
        [known[value] for value in values]
        for field, values in zip(fields, zip(*rows, strict=True), strict=True)
        for known in [{each: field.get_db_prep_save(each, connection) for each in set(values)}]
    ]
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*columns, strict=True)))


def _execute_together(cursor: Any, parts: Sequence[Sequence[Statement]]) -> list[int]:
    """In one message, with the parameters in the text."""
    bind = cursor.cursor.mogrify
    cursor.execute("; ".join([bind(*statement) for statement in chain(*parts)]))
    counts = [cursor.rowcount]
    while cursor.nextset():
        counts.append(cursor.rowcount)
    each = iter(counts)
    return [sum(islice(each, len(part))) for part in parts]


def _execute_part(cursor: Any, part: Sequence[Statement]) -> int:
    count = 0
    for sql, alike in groupby(part, key=itemgetter(0)):
        parameters = [each for _sql, each in alike]
        if len(parameters) == 1:
            cursor.execute(sql, parameters[0])
        else:
            cursor.executemany(sql, parameters)
        count += cursor.rowcount
    return count


@cache
def _update(
    vendor: str,
    model: type[models.Model],
    names: tuple[str, ...],
    keys: int,
    also_set: str,
    only: str,
) -> tuple[str, list[Prepare | None]]:
    """The statement, and how its parameters are prepared; the last `keys` names are the keys."""
    equations = [f"{quoted(model, name)} = %s" for name in names]
    assignments, conditions = equations[:-keys], equations[-keys:]
    sql = " ".join(
        [
            f"UPDATE {connections[DEFAULT_DB_ALIAS].ops.quote_name(model._meta.db_table)}",
            f"SET {', '.join(filter(None, [*assignments, also_set]))}",
            f"WHERE {' AND '.join(filter(None, [*conditions, only]))}",
        ]
    )
    return sql, [_preparation(vendor, model._meta.get_field(name)) for name in names]


@cache
def _insert(
    vendor: str, model: type[models.Model], ignore_conflicts: bool
) -> tuple[str, Callable[[models.Model], tuple[Any, ...]], list[Prepare | None]]:
    """The statement for one row, the row's values, and how they are prepared."""
    ops = connections[DEFAULT_DB_ALIAS].ops
    fields: list[Any] = [field for field in model._meta.concrete_fields if not field.primary_key]
    conflicts = OnConflict.IGNORE if ignore_conflicts else None
    columns = ", ".join(ops.quote_name(field.column) for field in fields)
    sql = " ".join(
        [
            f"{ops.insert_statement(on_conflict=conflicts)} {ops.quote_name(model._meta.db_table)}",
            f"({columns}) VALUES ({', '.join(['%s'] * len(fields))})",
            ops.on_conflict_suffix_sql(fields, conflicts, [], []),
        ]
    )
    values = attrgetter(*(field.attname for field in fields))
    return sql, values, [_preparation(vendor, field) for field in fields]


def _preparation(vendor: str, field: Any) -> Prepare | None:
    """How Django prepares a field's values for the database; None for values that PostgreSQL's
    drivers take as they are. There, Django's methods take more time than the statement.
    """
    is_plain = vendor == "postgresql" and type(field).__module__ in PLAIN_FIELDS
    return None if is_plain else field.get_db_prep_save


def _parameters(
    values: Iterable[Any], prepare: Iterable[Prepare | None], connection: Any
) -> list[Any]:
    return [
        value if method is None else method(value, connection)
        for value, method in zip(values, prepare, strict=True)
    ]


def quoted(model: type[models.Model], name: str) -> str:
    """A field's column as it appears in SQL."""
    column: Any = model._meta.get_field(name)
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(column.column)
