"""No file contains a path of one person's machine."""

from __future__ import annotations

import re

import pytest

from . import tree

# Home folders and working copies. Paths such as /tmp and /etc are on every machine.
PERSONAL_PATH = re.compile(rb"(?<![\w.)}/-])/(?:home|root|work|workspace|Users)/[\w.-]")


def test_no_file_contains_a_personal_path() -> None:
    files = tree.files()

    assert files
    assert [tree.name(path) for path in files if PERSONAL_PATH.search(path.read_bytes())] == []


@pytest.mark.parametrize("folder", ["home", "root", "work", "Users"])
def test_a_personal_path_is_found(folder: str) -> None:
    assert PERSONAL_PATH.search(f'open("/{folder}/anna/notes.txt")'.encode())


@pytest.mark.parametrize(
    "text", ["https://example.com/work/7", "/calls/home/", "a home/root choice"]
)
def test_other_paths_are_allowed(text: str) -> None:
    assert not PERSONAL_PATH.search(text.encode())
