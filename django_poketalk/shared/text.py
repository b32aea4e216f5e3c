"""Text from outside: in a request, from the other side, or in another direction of writing."""

from __future__ import annotations

import unicodedata

from django.utils.translation import get_language_bidi

FIRST_STRONG = {"L": False, "R": True, "AL": True}


def on_one_line(text: str) -> str:
    """The text with a space in place of each unprintable character, such as line breaks and NUL, so
    that it is safe for logs, terminals and the database.
    """
    return "".join(character if character.isprintable() else " " for character in text)


def whole_number(text: str, most_digits: int = 18) -> int | None:
    """The number in a parameter of a request: up to 18 ASCII digits, which every database can
    compare with a primary key. None for any other text.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= most_digits
    return int(text) if is_number else None


def short(text: str) -> str:
    """The text on one line, truncated to the 255 characters of a column."""
    return " ".join(on_one_line(text).split())[:255]


def isolated(name: str) -> str:
    """The name, isolated if its direction differs from that of the surrounding sentence."""
    runs = (FIRST_STRONG.get(unicodedata.bidirectional(letter)) for letter in name)
    from_right = next((run for run in runs if run is not None), False)
    if from_right == get_language_bidi():
        return name
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"
