"""The imports of the package keep the contracts in `pyproject.toml` (import-linter)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from . import tree

GROUND = {"protocol", "shared"}


def test_the_imports_keep_their_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(tree.ROOT / "pyproject.toml"), no_cache=True)

    assert code == 0, capsys.readouterr().out


def test_the_contracts_name_every_part_of_both_sides() -> None:
    config = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
    contracts = {each["id"]: each for each in config["tool"]["importlinter"]["contracts"]}
    caller = {f"django_poketalk.{name}" for name in parts(tree.PACKAGE) - GROUND - {"server"}}

    assert set(contracts["caller"]["source_modules"]) == caller
    assert set(contracts["service"]["forbidden_modules"]) == caller
    assert set(contracts["common-ground"]["forbidden_modules"]) == {
        "django_poketalk.server",
        *caller,
    }


def parts(package: Path) -> set[str]:
    """The modules and packages in this folder, without `__init__` and the migrations."""
    modules = {path.stem for path in package.glob("*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    return (modules | packages) - {"__init__", "migrations"}
