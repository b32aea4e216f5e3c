"""The digits and pauses of an extension."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.gateways import digits


@pytest.mark.parametrize(
    ("text", "timed"),
    [
        ("12", [(1.0, "1"), (0.0, "2")]),
        ("ww1,2", [(2.0, "1"), (2.0, "2")]),
        ("1w,2w", [(1.0, "1"), (2.5, "2")]),
        ("", []),
    ],
)
def test_pauses_are_before_the_digit_that_follows(
    text: str, timed: list[tuple[float, str]]
) -> None:
    assert digits.timed(text) == timed


def test_asterisk_only_knows_half_seconds() -> None:
    assert digits.with_half_seconds("w1,2") == "w1wwww2"
