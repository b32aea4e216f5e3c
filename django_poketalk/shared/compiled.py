"""Queries of the ORM that are compiled once, for frequent statements.

Building and compiling a query costs several times the CPU time of its execution. A `CompiledQuery`
or `CompiledUpdate` keeps the SQL that the ORM has made, and only fills in its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import Any, Protocol

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models.expressions import Expression
from django.db.models.sql import UpdateQuery
from django.db.transaction import TransactionManagementError, mark_for_rollback_on_error

Row = tuple[Any, ...]


class Parameter(Expression):
    """Stands for a value in a query that is being compiled: an argument, or one of its elements."""

    def __init__(self, argument: int, index: int | None = None) -> None:
        super().__init__()
        self.argument, self.index = argument, index

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """A placeholder, with this object as its parameter."""
        return "%s", (self,)

    def value_in(self, arguments: Sequence[Any]) -> Any:
        """The value that it stands for."""
        argument = arguments[self.argument]
        return argument if self.index is None else argument[self.index]


class CompiledQuery:
    """A SELECT. `build` returns its queryset: a `values_list`, or all fields of a model, which may
    have `select_related` for relations of its own.

    For each argument of `rows` or `instances`, `build` gets a `Parameter`, and for a list, as for
    an `__in` lookup, a list of them. Arguments are integers, text or aware datetimes, or values
    that are prepared for the database, as by `Field.get_db_prep_value`. Everything else in the
    query stays as it was at its first use, so `build` must not read settings or the clock. `using`
    is the database.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any, Any]]) -> None:
        self._build = build

    def rows(self, *arguments: Any, using: str = DEFAULT_DB_ALIAS) -> list[Row]:
        """The rows of a `values_list`. None, without a query, if a list is empty."""
        return self._execute(arguments, using)[1]

    def instances(self, *arguments: Any, using: str = DEFAULT_DB_ALIAS) -> list[Any]:
        """The same for all fields of a model, as instances."""
        compiled, rows = self._execute(arguments, using)
        return [compiled.instance(row) for row in rows] if compiled else []

    def _execute(self, arguments: Sequence[Any], using: str) -> tuple[_Compiled | None, list[Row]]:
        if [] in arguments:
            return None, []
        values = [_padded(each) if isinstance(each, list) else each for each in arguments]
        lengths = [len(each) if isinstance(each, list) else None for each in values]
        shape = (self, using, connections[using].vendor, *lengths)
        if (compiled := COMPILED.get(shape)) is None:
            parameters = [_parameter(*each) for each in enumerate(lengths)]
            compiled = COMPILED[shape] = _Compiled(self._build(*parameters), using)
        return compiled, compiled.execute(values)


class CompiledUpdate:
    """An UPDATE of one row of `model` (`app_label.model`), if it is still as expected.

    `build` gets all rows as a queryset, and a `Parameter` for the primary key and for each argument
    of `among`, and returns the queryset of that row. The rules for `build` and for arguments are
    those of `CompiledQuery`.
    """

    def __init__(self, model: str, build: Callable[..., models.QuerySet[Any, Any]]) -> None:
        self._label = model
        self._build = build

    def among(self, *arguments: Any) -> Among:
        """The rows that these arguments describe, for `filter(pk=…).update(…)`."""
        return Among(self, arguments)

    def execute(self, arguments: Sequence[Any], changes: Mapping[str, Any]) -> int:
        """Update the row. The changes are values of fields other than relations. Returns 1, or 0 if
        there is no such row.
        """
        model = apps.get_model(self._label)
        using = router.db_for_write(model)
        connection = connections[using]
        shape = (self, using, connection.vendor, *changes)
        if shape not in COMPILED:
            rows = model._default_manager.using(using)
            query = self._build(rows, *map(Parameter, range(len(arguments)))).query
            update: Any = query.chain(UpdateQuery)
            update.add_update_values(
                {name: Parameter(place) for place, name in enumerate(changes, len(arguments))}
            )
            COMPILED[shape] = _statement(update.get_compiler(using))
        sql, parameters = COMPILED[shape]
        values = [
            model._meta.get_field(name).get_db_prep_save(value, connection)
            for name, value in changes.items()
        ]
        with mark_for_rollback_on_error(using), connection.cursor() as cursor:
            cursor.execute(sql, _filled(parameters, [*arguments, *values], connection))
            count: int = cursor.rowcount
        return count


class Rows(Protocol):
    """What a queryset and `Among` have in common."""

    def filter(self, *, pk: Any) -> Rows: ...

    def update(self, **changes: Any) -> int: ...


@dataclass(frozen=True, slots=True)
class Among:
    """Takes the place of a queryset in `filter(pk=…).update(…)`."""

    compiled: CompiledUpdate
    arguments: tuple[Any, ...]
    pk: Any = None

    def filter(self, *, pk: Any) -> Among:
        """Of these rows, the one with this primary key."""
        return Among(self.compiled, self.arguments, pk)

    def update(self, **changes: Any) -> int:
        """Update it. Returns the number of rows."""
        return self.compiled.execute([self.pk, *self.arguments], changes)


class _Compiled:
    """A queryset's SQL for one database."""

    def __init__(self, queryset: models.QuerySet[Any, Any], using: str) -> None:
        self._using = using
        query = queryset.query
        features = connections[using].features
        self._locks = query.select_for_update and features.has_select_for_update
        compiler = query.get_compiler(using)
        self._sql, self._parameters = _statement(compiler)
        columns = [expression for expression, _sql, _alias in compiler.select]
        self._converters = compiler.get_converters(columns)  # by position
        own = compiler.klass_info or {}
        self._models = [_Part(info) for info in (own, *own.get("related_klass_infos", ())) if info]

    def execute(self, arguments: Sequence[Any]) -> list[Row]:
        connection = connections[self._using]
        if self._locks and connection.get_autocommit():
            raise TransactionManagementError("Rows can be locked in a transaction only.")
        with connection.cursor() as cursor:
            cursor.execute(self._sql, _filled(self._parameters, arguments, connection))
            rows: list[Row] = [tuple(row) for row in cursor.fetchall()]
        return [self._converted(row, connection) for row in rows] if self._converters else rows

    def instance(self, row: Row) -> Any:
        """The instance of the model in this row, with those that are related to it."""
        own, *related = self._models
        instance = own.instance(row, self._using)
        for part in related:
            part.relate(instance, row, self._using)
        return instance

    def _converted(self, row: Row, connection: Any) -> Row:
        values = list(row)
        for position, (converters, expression) in self._converters.items():
            for convert in converters:
                values[position] = convert(values[position], expression, connection)
        return tuple(values)


class _Part:
    """The columns of one model in a row, as the ORM's compiler describes them."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._model = info["model"]
        self._set: Any = info.get("local_setter")  # of a related model
        columns, fields = info["select_fields"], self._model._meta.concrete_fields
        self._first, self._behind = columns[0], columns[-1] + 1
        self._names = [field.attname for field in fields]
        self._pk = self._first + self._names.index(self._model._meta.pk.attname)

    def instance(self, row: Row, using: str) -> Any:
        """The instance, or None if no row is related."""
        if row[self._pk] is None:
            return None
        return self._model.from_db(using, self._names, row[self._first : self._behind])

    def relate(self, instance: Any, row: Row, using: str) -> None:
        """Let the instance of the first model know that of this one."""
        self._set(instance, self.instance(row, using))


COMPILED: dict[tuple[Any, ...], Any] = {}
"""All that this process has compiled, by query, database, and lengths of lists or columns."""


def _statement(compiler: Any) -> tuple[str, list[Any]]:
    """The SQL and its parameters. It contains the constants of the query, unless they have a %:
    PostgreSQL only keeps a plan that uses a partial index if it can see that the index applies.
    """
    sql, parameters = compiler.as_sql()
    connection = compiler.connection
    quote = connection.SchemaEditorClass(connection).quote_value
    is_kept = [isinstance(each, Parameter) or "%" in str(each) for each in parameters]
    written = [
        "%s" if kept else quote(each) for each, kept in zip(parameters, is_kept, strict=True)
    ]
    return sql.replace("%%", "%%%%") % tuple(written), [*compress(parameters, is_kept)]


def _filled(parameters: Sequence[Any], arguments: Sequence[Any], connection: Any) -> list[Any]:
    """The parameters of a statement, with the arguments for which a `Parameter` stands."""
    filled = [
        each.value_in(arguments) if isinstance(each, Parameter) else each for each in parameters
    ]
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(each) if isinstance(each, datetime) else each for each in filled]


def _parameter(argument: int, length: int | None) -> Any:
    if length is None:
        return Parameter(argument)
    return [Parameter(argument, index) for index in range(length)]


def _padded(values: list[Any]) -> list[Any]:
    """With the last value repeated up to a power of two, so that few queries are compiled."""
    length = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (length - len(values))
