"""The imports of the package keep the contracts in `pyproject.toml` (import-linter)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from . import tree


def test_the_imports_keep_their_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(tree.ROOT / "pyproject.toml"), no_cache=True)

    assert code == 0, capsys.readouterr().out


def test_the_service_may_import_nothing_but_the_common_ground() -> None:
    config = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
    contracts = {each["id"]: each for each in config["tool"]["importlinter"]["contracts"]}
    rest = parts(tree.PACKAGE) - {"protocol", "server", "shared"}

    assert set(contracts["service"]["forbidden_modules"]) == {
        f"django_poketalk.{name}" for name in rest
    }


def parts(package: Path) -> set[str]:
    """The modules and packages in this folder."""
    modules = {path.stem for path in package.glob("*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    return (modules | packages) - {"__init__"}
