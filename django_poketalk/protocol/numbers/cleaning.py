"""Brings what people, spreadsheets and other programs write to plain characters."""

from __future__ import annotations

import unicodedata

_FULL_WIDTH = range(0xFF01, 0xFF5F)  # "！" to "～" stand for "!" to "~" (Unicode, Halfwidth Forms)
_TO_ASCII = 0xFF01 - ord("!")
_MINUS = "\u2212"
_APOSTROPHES = "'\u2018\u2019`\u00b4"  # before a number that a spreadsheet must take as text


def clean(text: str) -> str:
    """The text in plain characters: ASCII digits, spaces and hyphens, nothing that is invisible.

    Digits of any script and full-width characters become ASCII. Marks of direction, joiners, soft
    hyphens, byte order marks and variation selectors are removed. Every space and tab becomes a
    space, every dash and minus a hyphen. Line breaks stay: what is written on two lines may be two
    numbers. Spaces around the text, and an apostrophe before it, are removed.
    """
    plain = "".join(map(_plain, text)).strip(" ")
    return plain.lstrip(_APOSTROPHES).lstrip(" ")


def _plain(character: str) -> str:
    if character.isascii():
        return " " if character == "\t" else character
    if ord(character) in _FULL_WIDTH:
        return chr(ord(character) - _TO_ASCII)
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf" or "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return ""
    if category == "Zs":
        return " "
    return "-" if category == "Pd" or character == _MINUS else character
