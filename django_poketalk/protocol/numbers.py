"""Phone numbers: E.164 with "+" inside, digits only on the wire (seed, Parameters and Good
Practice), grouped or masked for people.
"""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

SATELLITE = ("870", "878", "881", "882", "883", "888", "979")  # satellite and other global services
PREMIUM = (
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
    PhoneNumberType.PAGER,
    PhoneNumberType.PERSONAL_NUMBER,
)
_WIRE = re.compile(r"[1-9][0-9]{6,14}")
_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
_SEPARATORS = re.compile(r"[+ \-.()\[\]\t]")
_ROUNDS = 16  # each but the first and the last removes one of at most 15 digits
_ASCII_DIGIT = re.compile(r"[0-9]")


class InvalidNumber(ValueError):
    """A text that is no phone number: says which, and why."""


def normalise(text: str, region: str | None = None) -> str:
    """E.164 with "+" of a number written in any usual way.

    Without `region` (ISO 3166 alpha-2) it must be international, with or without "+". A trunk zero
    behind the country code is removed, also a repeated one. The length is checked, not whether the
    number is assigned: new ranges exist before the data knows them.
    """
    shown = f"{text[:40]!r}"
    if region is None and text.strip()[:1].isdigit():
        text = f"+{text.strip()}"
    for _ in range(_ROUNDS):
        normal = _e164(text, region, shown)
        if normal == text:
            return normal
        text = normal
    raise InvalidNumber(f"{shown} has no clear form as a phone number.")


def _e164(text: str, region: str | None, shown: str) -> str:
    """What the text is read as, which may still begin with a trunk prefix: only one is removed."""
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise InvalidNumber(f"{shown} is not a phone number: {error}") from None
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if number.extension:
        raise InvalidNumber(f"{shown} has an extension, which cannot be dialled.")
    if not phonenumbers.is_possible_number(number) or not _WIRE.fullmatch(normal[1:]):
        raise InvalidNumber(f"{shown} is too short or too long for a phone number of its country.")
    return normal


def normalise_prefix(text: str) -> str:
    """The beginning of an E.164 number with "+", e.g. `+4420` of `+44 20`."""
    digits = _SEPARATORS.sub("", text)
    if not _PREFIX.fullmatch(f"+{digits}"):
        raise InvalidNumber(
            f"{text[:40]!r} is not the beginning of an international number, e.g. +4420."
        )
    return f"+{digits}"


def wire(e164: str) -> str:
    """Digits only, country code first: as a number stands on the wire."""
    return e164.removeprefix("+")


def read_wire(text: str) -> str:
    """A number as a request gave it, digits only; "" when it has no digit at all.

    Strips plus, spaces, dashes, dots and brackets. Raises `InvalidNumber` when what is left is not
    7 to 15 ASCII digits that begin with a country code.
    """
    if not _ASCII_DIGIT.search(text):
        return ""
    digits = _SEPARATORS.sub("", text)
    if not _WIRE.fullmatch(digits):
        raise InvalidNumber(f"{text[:40]!r} is not an international phone number.")
    return digits


def display(number: str) -> str:
    """Grouped for reading, e.g. `+44 20 7946 0123`; what does not parse is given back as it is."""
    parsed = _parse(number)
    if parsed is None:
        return number
    return phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)


def mask(number: str) -> str:
    """For those who may not see it: country code and last two digits, e.g. `+44 ••••••••23`."""
    parsed = _parse(number)
    digits = wire(number)
    code = "" if parsed is None else str(parsed.country_code)
    hidden = max(0, len(digits) - len(code) - 2)
    if not hidden:
        return "•" * len(digits)
    return f"+{code} {'•' * hidden}{digits[-2:]}" if code else f"{'•' * hidden}{digits[-2:]}"


def country(number: str) -> str | None:
    """ISO 3166 alpha-2 code of the number's country; None when it has none or several could be
    meant.
    """
    parsed = _parse(number)
    if parsed is None or parsed.country_code is None:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    if region is None:
        regions = phonenumbers.region_codes_for_country_code(parsed.country_code)
        region = regions[0] if len(regions) == 1 else None
    return None if region == "001" else region


def is_satellite(number: str) -> bool:
    """Whether it is of a satellite network or another global service, where fraud is paid for."""
    return wire(number).startswith(SATELLITE)


def is_premium(number: str) -> bool:
    """Whether calling it costs extra: premium rate, shared cost, personal and universal access
    numbers, pagers.
    """
    parsed = _parse(number)
    return parsed is not None and phonenumbers.number_type(parsed) in PREMIUM


def _parse(number: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(f"+{wire(number)}", None)
    except NumberParseException:
        return None
