"""The digits and pauses of an extension, as they are dialed after the answer. Pure."""

from __future__ import annotations

BEFORE = 1.0  # seconds from the bridge to the first digit: many answering machines need a moment
PAUSES = {"w": 0.5, ",": 2.0}  # seconds


def timed(digits: str) -> list[tuple[float, str]]:
    """Each digit with the seconds to wait before it. Pauses behind the last digit are dropped."""
    found = []
    pause = BEFORE
    for character in digits:
        if character in PAUSES:
            pause += PAUSES[character]
        else:
            found.append((pause, character))
            pause = 0.0
    return found


def with_half_seconds(digits: str) -> str:
    """The same digits with `w` as the only pause, as Asterisk reads them."""
    return digits.replace(",", "w" * int(PAUSES[","] / PAUSES["w"]))
