"""Phone numbers: E.164 with "+" in the database of the caller's side, digits only in requests,
grouped or masked for people.
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
# The number of characters, with the "+", that determine a number's country. The longest matching
# prefix in COUNTRY_LENGTHS applies; otherwise the length of "+" and the longest country code.
COUNTRY_LENGTH = 4
COUNTRY_LENGTHS = {
    "+1": 5,  # North America: by area code
    "+18001": 6,  # free of charge, in the Dominican Republic
    "+262": 8,  # Réunion, Mayotte
    "+290": 5,  # Saint Helena, Tristan da Cunha
    "+358": 6,  # Finland, Åland
    "+39066": 8,  # Italy, Vatican
    "+44": 7,  # Great Britain, Guernsey, Isle of Man, Jersey
    "+447": 8,
    "+47": 5,  # Norway, Svalbard
    "+590": 9,  # Guadeloupe, Saint Barthélemy, Saint Martin
    "+599": 5,  # Curaçao, Bonaire
    "+61851": 9,  # Australia, Christmas Island, Cocos Islands
    "+61891": 9,
}
_WIRE = re.compile(r"[1-9][0-9]{6,14}")
_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
_SEPARATORS = re.compile(r"[+ \-.()\[\]\t]")
_MAYBE_NUMBER = re.compile(r"\+?\d(?:[ \u00a0\-.()\[\]/]{0,3}\d){6,}")
_MAX_ROUNDS = 16  # all but the first and the last remove one of at most 15 digits
_ASCII_DIGIT = re.compile(r"[0-9]")


class InvalidNumber(ValueError):
    """The text is not a phone number. The message contains the text and the reason."""


def normalize(text: str, region: str | None = None) -> str:
    """The number in E.164 with "+", from any usual spelling.

    Without `region` (ISO 3166 alpha-2) it must be international, with or without "+". Trunk zeros
    after the country code are removed. The length is checked, but not whether the number is
    assigned, because new ranges are in use before they are in the numbering data.
    """
    quoted = f"{text[:40]!r}"
    if region is None and text.strip()[:1].isdigit():
        text = f"+{text.strip()}"
    for _ in range(_MAX_ROUNDS):
        normal = _e164(text, region, quoted)
        if normal == text:
            return normal
        text = normal
    raise InvalidNumber(f"{quoted} is ambiguous as a phone number.")


def _e164(text: str, region: str | None, quoted: str) -> str:
    """The text in E.164. At most one trunk prefix is removed, so another may be left."""
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise InvalidNumber(f"{quoted} is not a phone number: {error}") from None
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if number.extension:
        raise InvalidNumber(f"{quoted} has an extension, which cannot be dialed.")
    if not phonenumbers.is_possible_number(number) or not _WIRE.fullmatch(normal[1:]):
        raise InvalidNumber(f"{quoted} is too short or too long for a phone number of its country.")
    return normal


def normalize_prefix(text: str) -> str:
    """The beginning of an E.164 number, with "+", from any usual spelling: `+4420` for `44 20`."""
    digits = _SEPARATORS.sub("", text)
    if not _PREFIX.fullmatch(f"+{digits}"):
        raise InvalidNumber(
            f"{text[:40]!r} is not the beginning of an international number, such as +4420."
        )
    return f"+{digits}"


def spellings(e164: str, region: str | None = None) -> set[str]:
    """The ways to write the number's digits in a text: international with and without "+", with
    "00", with a trunk zero after the country code and, for numbers of `region`, national.
    """
    digits = wire(e164)
    found = {f"+{digits}", f"00{digits}", digits}
    parsed = _parse(e164)
    if parsed is None:
        return found
    national = re.sub(r"[^0-9]", "", phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL))
    if national != digits.removeprefix(str(parsed.country_code)):  # it has a trunk prefix
        found.add(f"+{parsed.country_code}{national}")
    if region and parsed.country_code == phonenumbers.country_code_for_region(region):
        found.add(national)
    return found


def wire(e164: str) -> str:
    """The number as it is sent in requests: digits only, country code first."""
    return e164.removeprefix("+")


def read_wire(text: str) -> str:
    """The digits of a number from a request, or "" if it has no digit.

    Removes plus signs, spaces, dashes, dots and brackets. Raises `InvalidNumber` if the rest is not
    7 to 15 ASCII digits without a leading zero.
    """
    if not has_digits(text):
        return ""
    digits = _SEPARATORS.sub("", text)
    if not _WIRE.fullmatch(digits):
        raise InvalidNumber(f"{text[:40]!r} is not an international phone number.")
    return digits


def has_digits(text: str) -> bool:
    """Whether the text contains an ASCII digit. Without one, the number counts as missing."""
    return bool(_ASCII_DIGIT.search(text))


def without_trunk_zero(wire_number: str) -> str:
    """The number (digits only) without trunk zeros after the country code, such as 972541234567 for
    9720541234567; unchanged if no such number is possible.

    Networks may ignore this zero, so it must not bypass rates or the blacklist.
    """
    parsed = _parse(f"+{wire_number}")
    code = "" if parsed is None else str(parsed.country_code)
    rest = wire_number.removeprefix(code)
    while True:
        try:
            return wire(normalize(code + rest))
        except InvalidNumber:
            if not rest.startswith("0"):
                return wire_number
            rest = rest[1:]


def display(number: str) -> str:
    """The number, grouped for reading: `+44 20 7946 0123`. Unchanged if it cannot be parsed."""
    parsed = _parse(number)
    if parsed is None:
        return number
    return phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)


def mask(number: str) -> str:
    """The country code and the last two digits only: `+44 ••••••••23`."""
    parsed = _parse(number)
    digits = wire(number)
    code = "" if parsed is None else str(parsed.country_code)
    hidden = max(0, len(digits) - len(code) - 2)
    if not hidden:
        return "•" * len(digits)
    return f"+{code} {'•' * hidden}{digits[-2:]}" if code else f"{'•' * hidden}{digits[-2:]}"


def mask_within(text: str) -> str:
    """The text with possible phone numbers masked: 7 or more digits, grouped in any way, of which
    only the last two remain.
    """
    return _MAYBE_NUMBER.sub(
        lambda found: f"••••••{''.join(filter(str.isdigit, found[0]))[-2:]}", text
    )


def country(number: str) -> str | None:
    """The ISO 3166 alpha-2 code of the number's country. None if it has none or is ambiguous."""
    parsed = _parse(number)
    if parsed is None or parsed.country_code is None:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    if region is None:
        regions = phonenumbers.region_codes_for_country_code(parsed.country_code)
        region = regions[0] if len(regions) == 1 else None
    return None if region == "001" else region


def country_of_code(number: str) -> str | None:
    """The ISO 3166 alpha-2 code of the country with the number's country code, or of the main one
    if several share it. None if the code belongs to no country.
    """
    parsed = _parse(number)
    if parsed is None or parsed.country_code is None:
        return None
    region = phonenumbers.region_code_for_country_code(parsed.country_code)
    return None if region in ("001", "ZZ") else region


def is_country(code: str) -> bool:
    """Whether this is the ISO 3166 alpha-2 code of a country with phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def is_satellite(number: str) -> bool:
    """Whether the number is of a satellite network or a global service, which attract fraud."""
    return wire(number).startswith(SATELLITE)


def is_premium(number: str) -> bool:
    """Whether calls to the number cost extra: premium rate, shared cost, personal and universal
    access numbers, pagers.
    """
    parsed = _parse(number)
    return parsed is not None and phonenumbers.number_type(parsed) in PREMIUM


def _parse(number: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(f"+{wire(number)}", None)
    except NumberParseException:
        return None
