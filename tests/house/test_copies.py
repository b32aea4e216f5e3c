"""Each half works alone, so both have a copy of the live board's script and style sheet."""

from __future__ import annotations

import pytest

from . import tree


@pytest.mark.parametrize("name", ["live_board.js", "live_board.css"])
def test_both_halves_have_the_same_copy(name: str) -> None:
    package = tree.ROOT / "django_poketalk"
    ours = package / "static" / "poketalk" / name
    theirs = package / "server" / "static" / "poketalk_server" / name

    assert ours.read_text() == theirs.read_text()
