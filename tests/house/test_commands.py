"""The documented commands are the ones that CI runs."""

from __future__ import annotations

import configparser
import re
import tomllib
from typing import Any

import pytest

from . import tree

TESTS = "python -m pip install tox tox-uv && tox run"
DEMO = "python -m pip install tox tox-uv && tox run -e demo"


@pytest.fixture
def project() -> Any:
    return tomllib.loads((tree.ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_page_gives_the_two_commands(page: str) -> None:
    lines = {line.partition("#")[0].strip() for line in (tree.ROOT / page).read_text().splitlines()}

    assert {TESTS, DEMO} <= lines


def test_ci_runs_the_tests_by_the_same_command() -> None:
    assert f"bash -c '{TESTS}'" in (tree.ROOT / ".ci" / "run").read_text()


def test_tox_gives_the_demo_time_to_stop() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(tree.ROOT / "tox.ini")
    stop = (tree.ROOT / "example_project" / "demo" / "processes.py").read_text()

    [within] = re.findall(r"^STOP_WITHIN = ([0-9.]+)", stop, re.MULTILINE)
    assert tox.getfloat("testenv:demo", "suicide_timeout") > float(within)


def test_tox_runs_every_supported_combination(project: Any) -> None:
    classifiers = "\n".join(project["classifiers"])
    pythons = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", classifiers)]
    djangos = re.findall(r"Django :: (\d)\.(\d)", classifiers)
    supported = {
        f"py3{python}-django{major}{minor}"
        for python in pythons
        for major, minor in djangos
        if major < "6" or python >= 12  # Django 6 requires Python 3.12
    }

    tested = set(re.findall(r"py3\d+-django\d+", (tree.ROOT / "tox.ini").read_text()))

    assert len(supported) == 7
    assert supported <= tested
