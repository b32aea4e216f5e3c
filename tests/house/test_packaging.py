"""What the package says about itself is true, and all files that it promises exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import django_poketalk

from . import tree

PYPROJECT = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
TOX = (tree.ROOT / "tox.ini").read_text()
WORKFLOW = (tree.ROOT / ".github" / "workflows" / "ci.yml").read_text()
COMMUNITY = (
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    ".editorconfig",
    ".readthedocs.yaml",
)


def required() -> Iterator[Requirement]:
    """All direct dependencies, with those of the extras."""
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]:
        requirement = Requirement(text)
        if requirement.name != PROJECT["name"]:
            yield requirement


def constrained() -> dict[str, str]:
    """The versions in `constraints.txt` that apply on this Python."""
    versions = {}
    for line in (tree.ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement = Requirement(line)
            if not requirement.marker or requirement.marker.evaluate(default_environment()):
                versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def test_each_dependency_has_a_lower_bound_and_a_tested_version() -> None:
    versions = constrained()

    for requirement in required():
        assert any(each.operator in {">=", "=="} for each in requirement.specifier), requirement
        if requirement.name != "django":  # the matrix chooses it
            assert requirement.specifier.contains(versions[requirement.name]), requirement


def test_the_constraints_do_not_choose_a_django() -> None:
    assert "django" not in constrained()
    assert len(constrained()) > 50


def test_the_classifiers_name_the_pythons_and_djangos_that_are_tested() -> None:
    named = re.findall(r"Python :: (3\.\d+)|Django :: (\d\.\d)", "\n".join(PROJECT["classifiers"]))
    pythons = {python for python, _ in named if python}
    djangos = {django for _, django in named if django}
    in_ci = re.findall(r'python: "(3\.\d+)", django: "(\d)(\d)"', WORKFLOW)
    in_tox = re.findall(r"py3(\d+)-django(\d)(\d)", TOX.partition("matrix =")[2].split("\n")[0])

    assert {python for python, *_ in in_ci} >= pythons
    assert {f"{major}.{minor}" for _, major, minor in in_ci} == djangos
    assert {(f"3.{minor}", *django) for minor, *django in in_tox} == set(in_ci)


def test_the_version_is_that_of_the_newest_entry_of_the_changelog() -> None:
    changelog = (tree.ROOT / "CHANGELOG.md").read_text()

    assert "version" in PROJECT["dynamic"]
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == django_poketalk.__version__


@pytest.mark.parametrize("name", COMMUNITY)
def test_strangers_find_the_file(name: str) -> None:
    assert len((tree.ROOT / name).read_text()) > 200


def test_every_action_is_pinned_to_a_commit() -> None:
    used = [
        line
        for path in (tree.ROOT / ".github" / "workflows").glob("*.yml")
        for line in re.findall(r"uses: (.+)", path.read_text())
    ]

    assert used
    assert [line for line in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", line)] == []


SIZES = tree.ROOT / "docs" / "howto" / "integrate.md"
SIZE = re.compile(
    r"^\| `(django-poketalk(?:\[\w+\])?)` \| [^|]+ \| (\d+) \| (\d+) \| \d+ MB \|$", re.MULTILINE
)


def direct(extra: str) -> set[str]:
    """The names of the direct dependencies with this extra."""
    texts = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"].get(extra, ())]
    found = {}
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            for inner in requirement.extras:
                found |= dict.fromkeys(direct(inner))
        else:
            found[requirement.name] = None
    return set(found)


def closure(names: set[str]) -> set[str] | None:
    """The packages that these require in this environment, or None if one is not installed."""
    found: set[str] = set()
    waiting = [(name, "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key in found) and not extra:
            continue
        found.add(key)
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            return None
        for requirement in map(Requirement, requires):
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": extra}):
                waiting += [(requirement.name, inner) for inner in ("", *requirement.extras)]
    return found


def test_the_documented_numbers_of_dependencies_are_true() -> None:
    rows = SIZE.findall(SIZES.read_text())
    extras = {name: name.partition("[")[2].rstrip("]") for name, *_ in rows}

    assert set(extras.values()) == {"", *PROJECT["optional-dependencies"]}
    compared = 0
    for name, count, packages in rows:
        assert len(direct(extras[name])) == int(count), name
        needed = closure(direct(extras[name]))
        if needed is not None:
            compared += 1
            assert abs(len(needed) - int(packages)) <= 2, name  # depends on the version of Python
    assert compared >= 2


@pytest.mark.parametrize("extra", ["sip", "asterisk", "metrics"])
def test_an_extra_of_the_service_alone_is_complete(extra: str) -> None:
    assert direct("server") <= direct(extra)
