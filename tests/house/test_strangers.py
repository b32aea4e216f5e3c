"""The project says nothing that only makes sense on the machine where it was written."""

from __future__ import annotations

import re

import pytest

from . import tree

# People's home folders and working copies. /tmp, /etc and their like are on every machine.
SOMEBODYS = re.compile(rb"(?<![\w.)}/-])/(?:home|root|work|workspace|Users)/[\w.-]")


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    files = tree.files()

    assert files
    assert [tree.name(path) for path in files if SOMEBODYS.search(path.read_bytes())] == []


@pytest.mark.parametrize("folder", ["home", "root", "work", "Users"])
def test_a_path_of_somebodys_machine_is_found(folder: str) -> None:
    assert SOMEBODYS.search(f'open("/{folder}/anna/notes.txt")'.encode())


@pytest.mark.parametrize(
    "text", ["https://example.com/work/7", "/calls/home/", "a home/root choice"]
)
def test_other_paths_are_let_pass(text: str) -> None:
    assert not SOMEBODYS.search(text.encode())
