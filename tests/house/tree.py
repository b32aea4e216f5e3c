"""The project's own files."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "django_poketalk"


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """All files that git keeps or is about to be given, of these suffixes or of any."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(
        path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)
    )


def name(path: Path) -> str:
    """The path as people call it, from the project's top."""
    return path.relative_to(ROOT).as_posix()
