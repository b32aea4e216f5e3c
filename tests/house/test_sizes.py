"""Files are short, and none has a catch-all name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from . import tree

MAX_LINES = 400
CODE = (".py", ".js", ".css", ".html")
CATCH_ALL = {"utils", "util", "helpers", "helper", "misc", "common"}


def test_no_file_has_more_than_400_lines() -> None:
    written = [path for path in tree.files(*CODE) if path.parent.name != "migrations"]

    assert too_long(written) == []


def test_no_file_or_folder_has_a_catch_all_name() -> None:
    assert [name for path in tree.files(*CODE) if CATCH_ALL & words(name := tree.name(path))] == []


def test_a_file_of_401_lines_is_too_long(tmp_path: Path) -> None:
    (long := tmp_path / "long.py").write_text("pass\n" * 401)
    (fitting := tmp_path / "fitting.py").write_text("pass\n" * 400)

    assert too_long([long, fitting]) == [(long, 401)]


def too_long(paths: Iterable[Path]) -> list[tuple[Path, int]]:
    lines = [(path, len(path.read_text().splitlines())) for path in paths]
    return [(path, count) for path, count in lines if count > MAX_LINES]


def words(name: str) -> set[str]:
    return {part.partition(".")[0] for part in name.split("/")}
