"""The settings page documents every setting, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest

from django_poketalk.conf import Settings
from django_poketalk.server.conf import Settings as ServerSettings

from . import tree

PAGE = tree.ROOT / "docs" / "reference" / "settings.md"
HEADING = re.compile(r"^#+ .*?`(POKETALK(?:_SERVER)?)`")
ENTRY = re.compile(r"^(?:#+ |\| *)`([A-Z][A-Z0-9_]*)`")


def documented(page: str, name: str) -> list[str]:
    """The keys documented under the heading that names this dict: each a heading of
    its own, or the first cell of a table's row.
    """
    return [key for section, key in _entries(page) if section == name]


def _entries(page: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in page.splitlines():
        if heading := HEADING.match(line):
            section = heading[1]
        elif entry := ENTRY.match(line):
            yield section, entry[1]


@pytest.mark.parametrize(
    ("name", "schema"), [("POKETALK", Settings), ("POKETALK_SERVER", ServerSettings)]
)
def test_every_setting_is_documented_once_and_nothing_else_is(name: str, schema: type) -> None:
    keys = [field.name.upper() for field in dataclasses.fields(schema)]

    assert sorted(documented(PAGE.read_text(), name)) == sorted(keys)


def test_entries_are_headings_or_rows_under_their_dict() -> None:
    page = """
# Settings
Set `NOTHING` here.
## The caller's side: `POKETALK`
### `URL`
| `API_KEY` | the key, not the `URL` |
## The service's side: `POKETALK_SERVER`
#### `LEASE`
"""

    assert documented(page, "POKETALK") == ["URL", "API_KEY"]
    assert documented(page, "POKETALK_SERVER") == ["LEASE"]
