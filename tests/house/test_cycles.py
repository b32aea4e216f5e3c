"""No module needs itself to be imported: the order of imports never matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import tree
from .cycles import cycles
from .walls import OURS


def test_no_module_needs_itself() -> None:
    assert cycles(tree.PACKAGE) == []


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"a.py": "from . import b", "b.py": "from .a import f"}, ["a b"]),
        ({"a.py": "from . import b", "b.py": "from .c import f", "c.py": "import $.a"}, ["a b c"]),
        (
            {"a.py": "try:\n    from . import b\nfinally:\n    pass", "b.py": "from . import a"},
            ["a b"],
        ),
        (
            {"a.py": "from . import b", "b.py": "if not TYPE_CHECKING:\n    from . import a"},
            ["a b"],
        ),
        ({"a.py": "class A:\n    from .b import f", "b.py": "from . import a"}, ["a b"]),
        ({"d/__init__.py": "from .one import f", "d/one.py": "from .. import d"}, ["d d.one"]),
        (
            {
                "d/__init__.py": "from .one import f",
                "d/one.py": "from ..a import g",
                "a.py": "from .d.two import h",
                "d/two.py": "",
            },
            ["a d d.one"],
        ),
    ],
    ids=[
        "two",
        "three",
        "tried",
        "not for types",
        "in a class",
        "package and part",
        "package of what is needed",
    ],
)
def test_a_cycle_is_found(tmp_path: Path, sources: dict[str, str], found: list[str]) -> None:
    package = write(tmp_path, sources)

    assert cycles(package) == [[f"{OURS}.{name}" for name in cycle.split()] for cycle in found]


@pytest.mark.parametrize(
    "sources",
    [
        {"a.py": "from . import b", "b.py": "def later():\n    from . import a"},
        {"a.py": "from . import b", "b.py": "if TYPE_CHECKING:\n    from . import a"},
        {"a.py": "from . import b", "b.py": "if typing.TYPE_CHECKING:\n    from . import a"},
        {
            "a.py": "from .d import one, two",
            "d/__init__.py": "",
            "d/one.py": "from .two import f",
            "d/two.py": "",
        },
        {"d/__init__.py": "from .one import f", "d/one.py": "from . import two", "d/two.py": ""},
    ],
    ids=["later", "for types", "for types by name", "a tree", "parts of a package"],
)
def test_what_is_no_cycle_is_let_pass(tmp_path: Path, sources: dict[str, str]) -> None:
    assert cycles(write(tmp_path, sources)) == []


def write(folder: Path, sources: dict[str, str]) -> Path:
    package = folder / OURS
    for name, source in {"__init__.py": "", **sources}.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source.replace("$", OURS))
    return package
