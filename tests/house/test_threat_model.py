"""Each promise of the pages about security and about other software names the tests that hold it,
and they exist.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from . import tree

PAGE = (tree.ROOT / "docs" / "topics" / "security.md").read_text()
WORKS_WITH = (tree.ROOT / "docs" / "topics" / "works-with.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE + WORKS_WITH)


@cache
def named_in(path: str) -> set[str]:
    parsed = ast.parse((tree.ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.walk(parsed) if isinstance(each, functions)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_test_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in named_in(path)


def test_every_row_with_a_promise_names_a_test() -> None:
    tables = PAGE.split("\n## What the ")[1:]
    rows = [line for table in tables for line in table.split("\n## ")[0].splitlines()]
    promises = [line for line in rows if line.startswith("| ") and "| Test |" not in line]

    assert len(promises) > 30
    assert [line for line in promises if "::test_" not in line] == []


def test_every_row_about_other_software_names_a_test() -> None:
    rows = [line for line in WORKS_WITH.splitlines() if line.startswith("| ")]

    assert len(rows) > 10
    assert [line for line in rows[1:] if "::test_" not in line] == []
