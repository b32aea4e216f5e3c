"""The two halves know each other by the protocol alone, and what is pure stays pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import tree
from .walls import OURS, SHARED, breaches, imports


def test_nothing_is_imported_through_a_wall() -> None:
    assert [str(each) for each in breaches(tree.PACKAGE)] == []


def test_the_walls_stand_between_modules_that_exist() -> None:
    crossing = {
        each.imported.split(".")[1]
        for each in imports(tree.PACKAGE)
        if each.importer.startswith(f"{OURS}.server.") and each.imported.startswith(f"{OURS}.")
    }

    assert crossing == {"server", *(shared.split(".")[1] for shared in SHARED)}


@pytest.mark.parametrize(
    ("file", "source", "imported"),
    [
        ("tasks.py", "import django_poketalk.server.models", "server.models"),
        ("tasks.py", "from django_poketalk import server", "server"),
        ("tasks.py", "from .server import models", "server.models"),
        ("tasks.py", "def later():\n    from .server.models import Call", "server.models"),
        ("views/__init__.py", "from ..server import models", "server.models"),
        ("views/calls.py", "from ..server import models", "server.models"),
        ("server/views.py", "from .. import tasks", "tasks"),
        ("server/views.py", "from django_poketalk.tasks import place_call", "tasks"),
        ("server/switch/call.py", "from ...tasks import place_call", "tasks"),
        ("server/switch/call.py", "from django.db import models", None),
        ("server/rating.py", "import time", None),
        ("protocol/codes.py", "from django.conf import settings", None),
        ("protocol/codes.py", "from .. import appsettings", "appsettings"),
        ("appsettings.py", "from . import protocol", "protocol"),
        ("client_address.py", "from django_poketalk.shared import app_settings", "appsettings"),
        ("client_address.py", "if TYPE_CHECKING:\n    from .server import views", "server.views"),
    ],
)
def test_an_import_through_a_wall_is_found(
    small_package: Path, file: str, source: str, imported: str | None
) -> None:
    (small_package / file).write_text(f"\n{source}\n")

    [found] = breaches(small_package)

    assert found.importer.replace(".", "/") == f"{OURS}/{file}".removesuffix(
        "/__init__.py"
    ).removesuffix(".py")
    assert imported is None or found.imported == f"{OURS}.{imported}"


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tasks.py", "from . import appsettings, client_address, views"),
        ("tasks.py", "import server.models"),
        ("views/calls.py", "from ..protocol.codes import ResponseCode"),
        ("server/views.py", "from . import models, rating\nfrom .switch import call"),
        ("server/views.py", "from django_poketalk.shared import app_settings, client_address"),
        ("server/switch/call.py", "from ...protocol import codes\nfrom ..rating import cost"),
        ("protocol/codes.py", "import enum\nfrom . import numbers\nfrom .numbers import wire"),
        ("appsettings.py", "from django.conf import settings"),
    ],
)
def test_an_import_that_meets_no_wall_is_let_pass(
    small_package: Path, file: str, source: str
) -> None:
    (small_package / file).write_text(source)

    assert breaches(small_package) == []


@pytest.fixture
def small_package(tmp_path: Path) -> Path:
    """Empty files where the real package has modules."""
    package = tmp_path / OURS
    for name in (
        "__init__.py",
        "appsettings.py",
        "client_address.py",
        "protocol/__init__.py",
        "protocol/codes.py",
        "protocol/numbers.py",
        "server/__init__.py",
        "server/models.py",
        "server/rating.py",
        "server/switch/__init__.py",
        "server/switch/call.py",
        "server/views.py",
        "tasks.py",
        "views/__init__.py",
        "views/calls.py",
    ):
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return package
