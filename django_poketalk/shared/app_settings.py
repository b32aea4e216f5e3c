"""Typed settings of an app, from one dict in the project's settings module.

Used by `django_poketalk.conf` and `django_poketalk.server.conf`. A dataclass defines the keys, the
types and the defaults. `live()` returns an object with the same attributes that reads the project's
dict at each access, so that `override_settings` works.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

Schema = TypeVar("Schema")


def live(name: str, schema: type[Schema]) -> Schema:
    """An object with the attributes of `schema` that reads `settings.<name>` at each access, a dict
    with upper-case keys.
    """
    return cast("Schema", _Live(name, schema))


def check(name: str, schema: Any, id_prefix: str) -> list[checks.CheckMessage]:
    """System check messages for unknown keys (E001, suggests the nearest key) and values of the
    wrong type (E002).
    """
    try:
        given = _project_dict(name)
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id=f"{id_prefix}.E001")]
    return check_keys(name, schema, given, id_prefix)


def check_keys(
    name: str, schema: Any, given: Mapping[str, Any], id_prefix: str
) -> list[checks.CheckMessage]:
    """The same messages for a dict within the settings, which `name` names."""
    return [
        *_unknown_keys(name, schema, given, id_prefix),
        *_wrong_types(name, schema, given, id_prefix),
    ]


def check_time_zone(ident: str) -> list[checks.CheckMessage]:
    """An error with this id if `USE_TZ` is False. Times are compared across time zones."""
    if project.USE_TZ:
        return []
    return [
        checks.Error(
            "USE_TZ is False, but django-poketalk requires time zone support.",
            hint="Set USE_TZ = True, as in every new project.",
            id=ident,
        )
    ]


class _Live:
    def __init__(self, name: str, schema: Any) -> None:
        self._name = name
        self._defaults = {field.name: field.default for field in dataclasses.fields(schema)}

    def __getattr__(self, field: str) -> Any:
        try:
            default = self._defaults[field]
        except KeyError:
            raise AttributeError(f"{self._name} has no setting {field.upper()!r}.") from None
        return _project_dict(self._name).get(field.upper(), default)


def _project_dict(name: str) -> Mapping[str, Any]:
    given = getattr(project, name, {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{name} must be a dict, not {type(given).__name__}.")
    return given


def _unknown_keys(
    name: str, schema: Any, given: Mapping[str, Any], id_prefix: str
) -> Iterator[checks.CheckMessage]:
    known = [field.name.upper() for field in dataclasses.fields(schema)]
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key).upper(), known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(known)}."
            yield checks.Error(
                f"{name}[{key!r}] is not a setting.", hint=hint, id=f"{id_prefix}.E001"
            )


def _wrong_types(
    name: str, schema: Any, given: Mapping[str, Any], id_prefix: str
) -> Iterator[checks.CheckMessage]:
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        key = field.name.upper()
        if key in given and not _fits(given[key], hints[field.name]):
            expected = str(field.type)
            yield checks.Error(
                f"{name}[{key!r}] is {given[key].__class__.__name__}, not {expected}.",
                hint=f"Set a value of type {expected}, or remove the key to use the default.",
                id=f"{id_prefix}.E002",
            )


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if origin is Mapping:
        element = typing.get_args(hint)[1]
        return isinstance(value, Mapping) and all(_fits(item, element) for item in value.values())
    if origin is not None:  # for types such as tuple[str, ...], lists are accepted too
        element = typing.get_args(hint)[0]
        return isinstance(value, (list, tuple, set, frozenset)) and all(
            _fits(item, element) for item in value
        )
    if hint is Any:
        return True
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, (int, float))
    return isinstance(value, hint)
