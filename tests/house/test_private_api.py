"""Private API of libraries is used in a few known places. A test for each one fails when a new
version of the library lacks it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.utils.log import log_response

from . import tree

DOCUMENTED = {
    "_meta",
    "_default_manager",
    "_base_manager",
    "_exit",
    "_fields",
}  # in spite of their names
KNOWN = {
    "django_poketalk/api/openapi.py": "_map_serializer",
    "django_poketalk/views/events.py": "_has_been_logged",
}


def private_names(source: str) -> Iterator[str]:
    """The private attributes that the code accesses on objects other than its own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            is_dunder = node.attr.endswith("__")
            if not (is_own or is_dunder or node.attr in DOCUMENTED):
                yield node.attr


def test_private_api_is_used_only_in_known_places() -> None:
    found = {
        tree.name(path): name
        for path in tree.files(".py")
        if tree.PACKAGE in path.parents
        for name in private_names(path.read_text())
    }

    assert found == KNOWN


def test_private_api_is_found() -> None:
    assert list(private_names("response._has_been_logged = call.__dict__ or self._x")) == [
        "_has_been_logged"
    ]


def test_django_does_not_log_a_response_that_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    marked = HttpResponse(status=412)
    marked._has_been_logged = True  # type: ignore[attr-defined]

    log_response("a marked response", response=marked)
    log_response("another response", response=HttpResponse(status=412))

    assert caplog.messages == ["another response"]


def test_drf_spectacular_maps_a_serializer() -> None:
    openapi = pytest.importorskip("drf_spectacular.openapi")

    assert callable(openapi.AutoSchema._map_serializer)
