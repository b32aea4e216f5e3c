"""The imports of the package keep the contracts in `pyproject.toml` (import-linter)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from . import tree

#: In a process of its own: import-linter disables every logger there is when it starts.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"


def test_the_imports_keep_their_contracts() -> None:
    linted = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS], cwd=tree.ROOT, capture_output=True, text=True
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


def test_the_service_imports_only_protocol_and_shared() -> None:
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
