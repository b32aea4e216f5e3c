"""The reference pages list what is in the code, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from django_poketalk.calls import caps
from django_poketalk.protocol.codes import CallStatus, ResponseCode
from django_poketalk.server.switch.gateways.simulated import PHONES
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from . import tree

DOCS = tree.ROOT / "docs"
REFERENCE = DOCS / "reference"
FIRST_CELL = re.compile(r"^\| *(.+?) *\|", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#:]+?)(?:#[^)]*)?\)")


def rows(page: str, heading: str = "") -> list[str]:
    """The first cell of each table row on the page, or under this heading."""
    text = (REFERENCE / page).read_text()
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        assert text, f"{page} has no heading {heading!r}"
    return FIRST_CELL.findall(text)


def codes(cells: Iterable[str]) -> list[str]:
    return [code for cell in cells for code in CODE.findall(cell)]


def in_source(pattern: str) -> set[str]:
    """Every match of the pattern's first group in the package."""
    found = re.compile(pattern)
    sources = [path.read_text() for path in tree.files(".py") if path.is_relative_to(tree.PACKAGE)]
    return {match for source in sources for match in found.findall(source)}


def test_every_system_check_is_listed_once() -> None:
    # `shared.app_settings` returns the first two, for both sides.
    shared = {f"{app}.E00{number}" for app in ("poketalk", "poketalk_server") for number in (1, 2)}
    caller = in_source(r'"(poketalk\.[EIW]\d{3})"')
    caller |= {f"poketalk.{number}" for number in in_source(r'"(W\d{3})"')}
    server = in_source(r"[{]ID[}]\.([EW]\d{3})") | in_source(r'_network_list\("\w+", "(E\d{3})"\)')

    listed = codes(rows("checks.md"))

    assert sorted(listed) == sorted(
        shared | caller | {f"poketalk_server.{number}" for number in server}
    )


def test_every_simulated_number_is_listed() -> None:
    listed = [cell for cell in rows("simulated-numbers.md") if cell.isdigit()]

    assert listed == sorted(PHONES)


def test_every_hang_up_cause_is_listed() -> None:
    assert sorted(codes(rows("http-api.md", "Hang-up causes"))) == sorted(Cause)


def test_every_response_code_and_status_is_listed() -> None:
    assert codes(rows("protocol.md", "Response codes")) == list(ResponseCode)
    statuses = [int(cell) for cell in rows("protocol.md", "Call status") if cell.isdigit()]
    assert statuses[:9] == sorted(CallStatus)


def test_every_refusal_code_is_listed() -> None:
    page = (REFERENCE / "python-api.md").read_text()
    of_caps = {*caps.OF_USERS, *caps.OF_NUMBERS, *caps.OF_ALL, *caps.OF_SERVICE}
    given = in_source(r'CallRefused\(\s*"(\w+)"') | of_caps

    assert sorted(code for code in given if f"`{code}`" not in page) == []


@pytest.mark.parametrize(
    "page", [tree.ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=tree.name
)
def test_links_within_the_project_resolve(page: Path) -> None:
    wrong = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert wrong == []
