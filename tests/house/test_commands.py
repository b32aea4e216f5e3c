"""What people are told to type is what CI does."""

from __future__ import annotations

import configparser
import itertools
import re
import tomllib
from typing import Any

import pytest

from . import tree

TESTS = "python -m pip install tox && tox run"
DEMO = "python -m pip install tox && tox run -e demo"


@pytest.fixture
def project() -> Any:
    return tomllib.loads((tree.ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_page_gives_the_two_commands(page: str) -> None:
    lines = {line.partition("#")[0].strip() for line in (tree.ROOT / page).read_text().splitlines()}

    assert {TESTS, DEMO} <= lines


def test_ci_runs_the_tests_by_the_same_command() -> None:
    assert f"bash -c '{TESTS}'" in (tree.ROOT / ".ci" / "run").read_text()


def test_tox_runs_what_the_package_says_it_supports(project: Any) -> None:
    said = "\n".join(project["classifiers"])
    config = configparser.ConfigParser(interpolation=None)
    config.read(tree.ROOT / "tox.ini")
    environments = " ".join(expand(config["tox"]["env_list"]))

    assert set(re.findall(r"py3(\d+)", environments)) == set(
        re.findall(r"Python :: 3\.(\d+)", said)
    )
    assert {f"{v[0]}.{v[1]}" for v in re.findall(r"django(\d\d)", environments)} == set(
        re.findall(r"Django :: ([\d.]+)", said)
    )


def test_braces_are_expanded() -> None:
    assert expand("lint\npy31{2,3}-a{1,2}") == [
        "lint",
        "py312-a1",
        "py312-a2",
        "py313-a1",
        "py313-a2",
    ]


def expand(env_list: str) -> list[str]:
    """tox's short spelling, written out."""
    choices = [re.split(r"[{}]", line) for line in env_list.split()]
    return [
        "".join(parts)
        for pieces in choices
        for parts in itertools.product(*(piece.split(",") for piece in pieces))
    ]
