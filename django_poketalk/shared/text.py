"""Text that the other side has sent, or may have had a part in."""

from __future__ import annotations


def on_one_line(text: str) -> str:
    """The text with a space in the place of each character that does not print, such as line breaks
    and NUL: what a log, a terminal and a database column take as they are.
    """
    return "".join(character if character.isprintable() else " " for character in text)
