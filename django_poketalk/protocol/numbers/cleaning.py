"""Brings what people, spreadsheets and other programs write to plain characters."""

from __future__ import annotations

import unicodedata

_FULL_WIDTH = range(0xFF01, 0xFF5F)  # "！" to "～" stand for "!" to "~" (Unicode, Halfwidth Forms)
_TO_ASCII = 0xFF01 - ord("!")
# Besides the characters that Unicode names dashes. Japanese keyboards write the mark of a long
# vowel, or a line of a box, between digits.
_DASHES = "\u2212\u02d7\u2043\u2796\u30fc\uff70\u2500"
# Control characters that separate records, and NEL, as `str.splitlines` knows them; U+001F too.
_LINE_BREAKS = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
# Drawn as nothing (Unicode, Default_Ignorable_Code_Point), but no format characters.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
# Around a number that a spreadsheet must take as text, as a CSV file or a text quotes it.
_QUOTES = "'\"\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a`\u00b4"


def clean(text: str) -> str:
    """The text in plain characters: ASCII digits, spaces and hyphens, nothing that is invisible.

    Digits of any script and full-width characters become ASCII. Marks of direction, joiners, soft
    hyphens, byte order marks and variation selectors are removed. Every space and tab becomes a
    space, every dash and minus a hyphen, every separator of lines or records a line feed. Line
    breaks stay: what is written on two lines may be two numbers. Spaces and quotation marks around
    the text are removed, and an equals sign before them, as spreadsheets export text.
    """
    if text.isascii() and text.isdigit():
        return text  # at once, for decks of tens of thousands of prefixes
    plain = "".join(map(_plain, unicodedata.normalize("NFC", text))).strip(" ")
    if plain.startswith(('="', "='", "=+")):
        plain = plain[1:]
    return plain.strip(_QUOTES + " ")


def _plain(character: str) -> str:
    if character in _LINE_BREAKS:
        return "\n"
    if character.isascii():
        return " " if character == "\t" else character
    if ord(character) in _FULL_WIDTH:
        return chr(ord(character) - _TO_ASCII)
    if character in _DASHES:
        return "-"
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf" or character in _INVISIBLE:
        return ""
    if "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return ""
    return {"Zs": " ", "Zl": "\n", "Zp": "\n", "Pd": "-"}.get(category, character)
