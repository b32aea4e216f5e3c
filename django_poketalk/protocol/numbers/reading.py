"""Reads phone numbers as people write them. Whatever is not certainly one number is refused, with
the reason: a wrong guess rings somebody else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import phonenumbers
from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

from . import old_forms
from .cleaning import clean
from .countries import wire
from .errors import InvalidNumber, Reason
from .extensions import is_marked, split_extension

MAX_TEXT_LENGTH = 80  # no single number is written with more characters

_WIRE = re.compile(r"[1-9][0-9]{6,14}")
_ASCII_DIGIT = re.compile(r"[0-9]")
_NOT_DIGIT = re.compile(r"[^0-9]")
_LABEL = re.compile(
    r"(?:tel|telephone|telefon|phone|ph|fon|mobile|mobil|mob|cell|office|home|work)"
    r"(?:[.:]+ *| +)(?=[+(0-9])",
    re.IGNORECASE,
)
_DECIMAL = re.compile(
    r"\+?[0-9][0-9 ]{4,}\.[0-9]{1,2}"  # one point, and a digit or two behind it
    r"|[^.]*[0-9]\.0+"
    r"|[^,]*[0-9],[0-9]{1,2}"
    r"|\+?[0-9]+(?:[.,][0-9]+)? ?[eE] ?[+-]?[0-9]+"
)
_JOINT = re.compile(
    r"[;|&,\n\r]|(?<![^\W_])(?:or|and|und|oder|u\.|od\.|ou|et|y|o|e|en|of|og|och|или|и|או|ו)(?![^\W_])",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"[*•●·…_?]|(?<![^\W\d_])([xX]{2,}|[nN]{2,})(?![^\W\d_])")
_WORD = re.compile(r"[A-Za-z](?:[ -]?[A-Za-z]){3,}$")
_TRUNK_IN_BRACKETS = re.compile(r"([1-9][0-9]{0,2}) *[(\[] *0 *[)\]]")
_SEPARATORS = re.compile(r"[ \-.()\[\]/]")
_PLAIN = re.compile(r"[0-9+ \-.()\[\]/]+")
_PLUS_FIRST = re.compile(r"^[(\[ ]*\+")
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl")
_NO_WORDS = {"none", "unknown", "test", "number", "numberx", "noneyet", "pending", "home", "empty"}
_SEQUENCE = "01234567890123456789"
_WHOLE = 8  # digits of a whole number even where plans have numbers of any length
_MOST_TRUNK_ZEROS = 16
_NEVER_FIRST = {52: "01"}  # digits with which no national number of the country code begins
_MOST_SURPLUS = 8  # digits behind a number, of at most 15, that make it another text


@dataclass(frozen=True, slots=True)
class Reading:
    """A phone number (E.164 with "+"), and the digits of the extension behind it, or ""."""

    e164: str
    extension: str = ""


def read(value: Any, region: str | None = None) -> Reading:
    """The number and extension that this text means, in any usual way of writing.

    `value` may also be a `phonenumbers.PhoneNumber` or have `as_e164`, as the values of
    django-phonenumber-field: those know their country. A text without "+" belongs to `region` (ISO
    3166 alpha-2); without a region it begins with a country code. Trunk zeros behind the country
    code are removed, and old forms brought to today's. Raises `InvalidNumber` with the reason.

    The length is checked against the numbering plan, not whether the number is assigned: new ranges
    exist before the data knows them. But a number that is not assigned and holds one that is, with
    digits behind it, is refused: networks ignore those digits.
    """
    region = region.upper() if region else None
    text = as_text(value)
    number = _number_object(value)
    if number is not None:
        if not re.fullmatch(r"[0-9]*", number.extension or ""):
            raise InvalidNumber(text, Reason.EXTENSION, region)
        return Reading(_normalize(number, text, region), number.extension or "")
    plain = _without_label(text, region)
    written, extension = split_extension(plain)
    if _DECIMAL.fullmatch(plain) or _DECIMAL.fullmatch(written):
        raise InvalidNumber(text, Reason.DECIMAL, region)
    e164 = _read_number(written, text, region)
    if extension and is_marked(plain) and not _ends_there(e164, extension):
        raise InvalidNumber(text, Reason.HIDDEN, region)
    return Reading(e164, extension)


def normalize(value: Any, region: str | None = None) -> str:
    """The number in E.164 format with "+", from any usual format.

    National numbers belong to `region` (ISO 3166 alpha-2). Without a region, the number must begin
    with a country code. Raises `InvalidNumber` for other texts, and for numbers with an extension.
    """
    reading = read(value, region)
    if reading.extension:
        raise InvalidNumber(value, Reason.EXTENSION, region)
    return reading.e164


def as_text(value: Any) -> str:
    """A text that `read` reads as this value: a number object with its country code and extension
    (RFC 3966), anything else as it is; "" for None.
    """
    number = _number_object(value)
    if number is not None:
        extension = f";ext={number.extension}" if number.extension else ""
        return _e164(number) + extension
    if isinstance(value, phonenumbers.PhoneNumber):
        return value.raw_input or ""
    return str(getattr(value, "as_e164", None) or value or "")


def read_wire(text: str) -> str:
    """A number as a request gave it, as digits; "" when it has no ASCII digit at all.

    Strips plus, spaces, dashes, dots and brackets, and trunk zeros behind the country code. Raises
    `InvalidNumber` for anything that is not one whole international number.
    """
    if not has_digits(text):
        return ""
    plain = clean(text)
    if (
        "\n" in text
        or "\r" in text
        or "/" in plain
        or _NOT_DIGIT.sub("", text) != _NOT_DIGIT.sub("", plain)
    ):
        raise InvalidNumber(text, Reason.TEXT)
    return wire(normalize(plain.replace("+", "")))


def normalize_prefix(text: str) -> str:
    """The beginning of an E.164 number with "+", e.g. `+4420` of `+44 20`.

    Raises `InvalidNumber` for a beginning that no number has, such as `0044` or `01133`.
    """
    plain = clean(text).removeprefix("+")
    trunk = _TRUNK_IN_BRACKETS.match(plain)
    if trunk and int(trunk[1]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        plain = trunk[1] + plain[trunk.end() :]
    digits = _SEPARATORS.sub("", plain)
    if not re.fullmatch(r"[1-9][0-9]{0,14}", digits) or not _begins_number(digits):
        raise InvalidNumber(text, Reason.PREFIX)
    return f"+{digits}"


def has_digits(text: str) -> bool:
    """Whether there is an ASCII digit in it, so that it is meant to be a number."""
    return bool(_ASCII_DIGIT.search(text))


def _ends_there(e164: str, extension: str) -> bool:
    """Whether this is a whole number, and not the beginning of one with a hidden digit within."""
    number, longer = phonenumbers.parse(e164), phonenumbers.parse(e164 + extension[:3])
    if phonenumbers.is_possible_number_with_reason(longer) == ValidationResult.TOO_LONG:
        return True
    is_whole = len(phonenumbers.national_significant_number(number)) >= _WHOLE
    is_valid = phonenumbers.is_valid_number(number)
    return is_valid and (is_whole or not phonenumbers.is_valid_number(longer))


def _number_object(value: Any) -> phonenumbers.PhoneNumber | None:
    """The number, if the value is one that knows its country."""
    is_number = isinstance(value, phonenumbers.PhoneNumber) and value.country_code
    return value if is_number else None


def _without_label(text: str, region: str | None) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidNumber(text, Reason.TOO_LONG, region)
    plain = clean(text).strip("\r\n ")
    if plain[:4].lower() == "tel:":
        plain = plain[4:].lstrip()
    return _LABEL.sub("", plain, count=1) if _LABEL.match(plain) else plain


def _read_number(written: str, text: str, region: str | None) -> str:
    """The E.164 number that this cleaned text without extension means; `text` is for the error."""

    def refuse(reason: Reason) -> InvalidNumber:
        return InvalidNumber(text, reason, region)

    if not has_digits(written):
        raise refuse(Reason.TEXT if any(map(str.isalnum, written)) else Reason.EMPTY)
    if _HIDDEN.search(written):
        raise refuse(Reason.HIDDEN)
    if _has_several(written):
        raise refuse(Reason.SEVERAL)
    is_word = bool(_WORD.search(written))
    if is_word:
        written = _by_keypad(written, refuse)
    if any(character.isalpha() for character in written):
        raise refuse(Reason.LETTERS)
    if not _PLAIN.fullmatch(written):
        raise refuse(Reason.TEXT)
    is_international = bool(_PLUS_FIRST.match(written))
    plain = _PLUS_FIRST.sub("", written)
    if "+" in plain:
        raise refuse(Reason.SEVERAL)
    digits = _SEPARATORS.sub("", plain)
    if len(digits.lstrip("0")) <= 3 < len(digits):
        raise refuse(Reason.PLACEHOLDER)
    number = _parse(digits, is_international, text, region)
    if not is_international and _lacks_trunk_zero(digits, number, region):
        raise refuse(Reason.AREA_CODE)
    if is_international and _has_surplus(number, digits.removeprefix(str(number.country_code))):
        raise refuse(Reason.TOO_LONG)
    if "/" in plain and not _stroke_follows_area_code(plain, number, is_international):
        raise refuse(Reason.SEVERAL)
    normal = _normalize(number, text, region)
    if is_word and not _is_toll_free(normal):
        raise refuse(Reason.LETTERS)
    return normal


def _has_several(written: str) -> bool:
    """Whether there are digits on both sides of a word or mark that joins two numbers."""
    parts = _JOINT.split(written)
    groups = re.findall(r"\+?[0-9]+", written)
    is_repeated = len(groups) > 3 and groups[0][0] in "+0" and groups[0] in groups[2:]
    return is_repeated or sum(has_digits(part) for part in parts) > 1


def _by_keypad(written: str, refuse: Any) -> str:
    """The digits of the word's letters (ITU E.161); never for letters that stand for any digit."""
    found = _WORD.search(written)
    word = "" if found is None else re.sub("[^a-z]", "", found[0].lower())
    is_word = len(set(word)) > 2 and set(word) & set("aeiouy") and word not in _NO_WORDS
    if not is_word or any(word[:4] in row for row in _ROWS):
        raise refuse(Reason.LETTERS)
    head = written.removesuffix(found[0] if found else "")
    return head + phonenumbers.convert_alpha_characters_in_number(word)


def _is_toll_free(e164: str) -> bool:
    number = phonenumbers.parse(e164)
    return phonenumbers.number_type(number) == PhoneNumberType.TOLL_FREE


def _parse(
    digits: str, is_international: bool, text: str, region: str | None
) -> phonenumbers.PhoneNumber:
    if not is_international and region is None:
        if digits.startswith("0"):
            raise InvalidNumber(text, Reason.NO_COUNTRY, region)
        is_international = True
    if not is_international:
        digits = old_forms.national(digits, region)
    try:
        return phonenumbers.parse(f"+{digits}" if is_international else digits, region)
    except NumberParseException as error:
        reason = {
            NumberParseException.INVALID_COUNTRY_CODE: Reason.UNKNOWN_COUNTRY,
            NumberParseException.TOO_LONG: Reason.TOO_LONG,
        }.get(error.error_type, Reason.TOO_SHORT)
        raise InvalidNumber(text, reason, region) from None


def _lacks_trunk_zero(digits: str, number: phonenumbers.PhoneNumber, region: str | None) -> bool:
    """Whether it is written without the zero that begins a whole number of this region, and is not
    an assigned number behind that zero either: a local number, whose area code is missing.
    """
    metadata = region and phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if not metadata or metadata.national_prefix != "0" or digits.startswith("0"):
        return False
    return not phonenumbers.is_valid_number(number)


def _stroke_follows_area_code(
    plain: str, number: phonenumbers.PhoneNumber, is_international: bool
) -> bool:
    """Whether the only "/" stands right behind the area code, as in `069/90009123`."""
    head, _stroke, rest = plain.partition("/")
    head = head.strip(" ()[]")
    if is_international:
        head = head.removeprefix(str(number.country_code)).strip(" -.()[]/")
    area = head.lstrip("0")
    length = phonenumbers.length_of_national_destination_code(number)
    return "/" not in rest and area.isdecimal() and len(area) == length


def _normalize(number: phonenumbers.PhoneNumber, text: Any, region: str | None) -> str:
    """E.164 of the number, without trunk prefixes behind its country code, in today's form."""
    normal = _e164(number)
    for _round in range(_MOST_TRUNK_ZEROS):
        code = str(number.country_code)
        today = f"+{code}{old_forms.today(code, normal.removeprefix(f'+{code}'))}"
        try:
            number = phonenumbers.parse(today)
        except NumberParseException:
            raise InvalidNumber(text, Reason.UNKNOWN_COUNTRY, region) from None
        if _e164(number) == normal:
            break
        normal = _e164(number)
    reason = _impossible(number, normal)
    if reason is not None:
        raise InvalidNumber(text, reason, region)
    return normal


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _impossible(number: phonenumbers.PhoneNumber, normal: str) -> Reason | None:
    """Why this cannot be a whole number of its country's plan; None if it can."""
    national = phonenumbers.national_significant_number(number)
    if len(national.lstrip("0")) <= 3:
        return Reason.PLACEHOLDER
    result = phonenumbers.is_possible_number_with_reason(number)
    if result == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        return Reason.AREA_CODE
    if national[0] in _NEVER_FIRST.get(number.country_code or 0, ""):
        return Reason.TOO_SHORT
    if national[0] == "0" and _has_no_zero(number):
        return Reason.TOO_SHORT
    is_pattern = len(set(national)) == 1 or national in _SEQUENCE
    if is_pattern and not phonenumbers.is_valid_number(number):
        return Reason.PLACEHOLDER
    if result == ValidationResult.TOO_LONG or len(normal) > 16:
        return Reason.TOO_LONG
    if result != ValidationResult.IS_POSSIBLE or not _WIRE.fullmatch(normal[1:]):
        return Reason.TOO_SHORT
    if number.country_code == 1 and (national[0] in "01" or national[3] in "01"):
        return Reason.IMPOSSIBLE  # area and exchange codes begin with 2 to 9 (NANPA)
    return Reason.TOO_LONG if _has_surplus(number, national) else None


def _has_no_zero(number: phonenumbers.PhoneNumber) -> bool:
    """Whether no number of this country code begins with a zero, as far as the data knows."""
    if phonenumbers.is_valid_number(number):
        return False
    code = number.country_code or 0
    return not any(
        phonenumbers.national_significant_number(example).startswith("0")
        for region in phonenumbers.region_codes_for_country_code(code)
        for kind in PhoneNumberType.values()
        if (example := phonenumbers.example_number_for_type(region, kind))
    )


def _has_surplus(number: phonenumbers.PhoneNumber, national: str) -> bool:
    """Whether the number is not assigned, but begins with one that is. `national` is its digits
    behind the country code.
    """
    if phonenumbers.is_valid_number(number):
        return False
    return any(
        _is_assigned(f"+{number.country_code}", national[:length])
        for length in range(max(len(national) - _MOST_SURPLUS, 3), len(national))
    )


def _is_assigned(code: str, national: str) -> bool:
    try:
        number = phonenumbers.parse(code + national)
    except NumberParseException:
        return False
    is_whole = phonenumbers.national_significant_number(number) == national
    return is_whole and phonenumbers.is_valid_number(number)


def _begins_number(digits: str) -> bool:
    """Whether numbers of some country begin so, or the digits are the beginning of its code."""
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    if any(str(code).startswith(digits) for code in codes):
        return True
    code = next((code for length in (1, 2, 3) if (code := int(digits[:length])) in codes), None)
    if code is None:
        return False
    first = digits[len(str(code))]
    if first in _NEVER_FIRST.get(code, "01" if code == 1 else ""):
        return False
    return first != "0" or not _has_no_zero(phonenumbers.PhoneNumber(code, 0))
