"""Text that may contain input from the other side."""

from __future__ import annotations


def on_one_line(text: str) -> str:
    """The text with a space in place of each unprintable character, such as line breaks and NUL, so
    that it is safe for logs, terminals and the database.
    """
    return "".join(character if character.isprintable() else " " for character in text)
