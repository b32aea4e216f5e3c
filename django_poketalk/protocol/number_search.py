"""Search for phone numbers by all of a number or its beginning, in any usual spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, country_code_for_region

from . import numbers
from .numbers.extensions import split_extension

SHORTEST = 7  # digits of a number that can have an extension
_SEPARATORS = re.compile(r"[\s\-./()\[\]]")
_TRUNK_IN_BRACKETS = re.compile(r"[(\[]\s*0\s*[)\]]")
_SHAPE = re.compile(r"\+?[0-9]{1,20}")


def beginnings(text: str, region: str | None = None) -> list[str]:
    """The beginnings of stored numbers that this text can mean, sorted; none if it is not a number.

    `+49 (0)30 1`, `0049 30 1` and, with the region `DE`, `030 1` all mean `+49301`. Digits without
    "+" are read as beginning with a country code and, with a region, also as a national number. Few
    enough of them can be an internal number too. The extension behind a number is ignored.
    """
    text = _without_extension(text)
    digits = _SEPARATORS.sub("", _TRUNK_IN_BRACKETS.sub("", numbers.clean(text)))
    if not _SHAPE.fullmatch(digits):
        return []
    found = set(_readings(digits, region))
    with suppress(numbers.InvalidNumber):  # a beginning is not a whole number
        found.add(numbers.normalize(text, region))
    found = {each for each in found if len(each) > 1 and each[1] != "0"}
    return sorted(found | {digits} if numbers.is_internal(digits) else found)


def has_extension(text: str) -> bool:
    """Whether this is a number with an extension behind it."""
    return _without_extension(text) != text


def span(beginning: str) -> tuple[str, str | None]:
    """The range of texts with this beginning: its start, and its end (exclusive), or None if there
    is no end.

    For digits, with or without "+". Comparing with both ends uses any index, whatever the
    collation of the database; LIKE requires a special index.
    """
    rest = beginning.rstrip("9")
    last = rest[-1:]
    return beginning, f"{rest[:-1]}{int(last) + 1}" if last.isdigit() else None


def _without_extension(text: str) -> str:
    head, extension, _mark = split_extension(numbers.clean(text))
    is_number = extension and sum(map(str.isdigit, head)) >= SHORTEST
    return head if is_number else text


def _readings(digits: str, region: str | None) -> Iterator[str]:
    metadata = PhoneMetadata.metadata_for_region(region, None) if region else None
    if digits.startswith("+"):
        yield from _international(digits[1:])
        return
    yield from _international(digits)
    prefix = metadata.international_prefix if metadata else None
    abroad = re.match(f"00|{prefix}" if prefix else "00", digits)
    if abroad:
        yield from _international(digits[abroad.end() :])
        return
    if metadata is None or region is None:
        return
    code = country_code_for_region(region)
    trunk = metadata.national_prefix
    yield f"+{code}{digits.removeprefix(trunk) if trunk else digits}"


def _international(digits: str) -> Iterator[str]:
    """The digits as they are, and without a trunk zero after the country code."""
    yield f"+{digits}"
    for length in (1, 2, 3):
        code = digits[:length]
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code)) if len(code) == length else None
        if regions:
            metadata = PhoneMetadata.metadata_for_region(regions[0], None)
            trunk = metadata.national_prefix if metadata else None
            if trunk == "0" and digits[length:].startswith(trunk):
                yield f"+{code}{digits[length + 1 :]}"
