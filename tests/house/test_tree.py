"""The tests find the project's files with and without git."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import tree


def test_ignored_files_are_left_out(tmp_path: Path) -> None:
    ignored = ["/build/", "*.py[co]", "/.coverage*", "/docs/_build/", "__pycache__/"]
    write(tmp_path, ".gitignore", "\n".join(ignored))
    ours = ["README.md", ".ci/run", "docs/build/index.md", "a/build/x.py", "a/.coveragerc"]
    theirs = [
        "build/x.py",
        "a/x.pyc",
        ".coverage.7",
        "docs/_build/html/index.html",
        "a/__pycache__/x.txt",
        ".git/config",
    ]
    for name in ours + theirs:
        write(tmp_path, name)

    assert tree.found(tmp_path) == {tmp_path / name for name in [".gitignore", *ours]}


def test_every_tracked_file_is_found_without_git() -> None:
    kept = {path for path in tree.kept(tree.ROOT) if path.is_file()}
    if not kept:
        pytest.skip("This is not a git working copy.")

    assert kept <= tree.found(tree.ROOT)


@pytest.mark.usefixtures("no_git")
def test_without_git_no_file_is_tracked(tmp_path: Path) -> None:
    assert tree.kept(tmp_path) == set()


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def write(root: Path, name: str, text: str = "") -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_static_files_are_named_with_underscores() -> None:
    """The names follow those of Django's own admin."""
    assert [path.name for path in tree.PACKAGE.rglob("static/**/*-*")] == []
