"""The project's own files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "django_poketalk"


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """All files that git tracks or could add, with these suffixes or any. Without git, as in an
    unpacked archive: all files that `.gitignore` does not exclude.
    """
    paths = sorted(kept(ROOT) or found(ROOT))
    return tuple(
        path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)
    )


def kept(root: Path) -> set[Path]:
    """The files git lists. Empty if git is not installed or this is not a working copy."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return set()
    return {root / name for name in listed.stdout.split("\0") if name}


def found(root: Path) -> set[Path]:
    """The files in the folder, without those that `.gitignore` excludes."""
    ignored = [".git/", *(root / ".gitignore").read_text().split()]
    return set(_walked(root, root, ignored))


def _walked(root: Path, folder: Path, ignored: list[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        slash = "/" if path.is_dir() else ""
        from_top = f"/{path.relative_to(root).as_posix()}{slash}"
        if any(fnmatch(from_top, each if each[0] == "/" else f"*/{each}") for each in ignored):
            continue
        if slash:
            yield from _walked(root, path, ignored)
        else:
            yield path


def name(path: Path) -> str:
    """The path relative to the project's root."""
    return path.relative_to(ROOT).as_posix()
