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
from .extensions import MAX_EXTENSION, split_extension
from .plans import begins_number, has_surplus, impossible, is_valid
from .several import holds_several, is_split_by_stroke, starts

MAX_TEXT_LENGTH = 80  # no single number is written with more characters

_EXTENSION = re.compile(rf"[0-9]{{0,{MAX_EXTENSION}}}")
_ASCII_DIGIT = re.compile(r"[0-9]")
_NOT_DIGIT = re.compile(r"[^0-9]")
_LABEL = re.compile(
    r"""
    (?:tel(?:;[a-z]+=[^:;]*)+:)?  # vCard
    (?:(?:tel|callto):)?\ *
    (?:(?:
        (?:tel|telephone|phone|ph|mobile|mob|cell|office|home|work|telefon|fon|mobil|handy
            |tél|téléphone|portable|telefono|cellulare|teléfono|tlf|móvil|telefone|celular
            |telefoon|mobiel|gsm|тел|телефон|моб|т\.)
        (?:[.:\ ]+|(?<=\.))
        |[mpt]\ ?:\ *|[\u2121\u260e\u260f\u2706\U0001f4de\U0001f4f1]\ *
    )(?=[+(0-9]))?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DECIMAL = re.compile(
    r"\+?[0-9][0-9 ]{4,}\.[0-9]{1,2}"  # one point, and a digit or two behind it
    r"|[^.]*[0-9]\.0+"
    r"|[^,]*[0-9],[0-9]{1,2}"
    r"|\+?[0-9]+(?:[.,][0-9]+)? ?[eE] ?[+-]?[0-9]+"
)
_HIDDEN = re.compile(
    r"[*●…?]|[•·_]{2,}"
    r"|(?<![0-9])(?<![0-9] )[•·_]|[•·_](?! ?[0-9])"  # one between digits separates them
    r"|(?<![^\W\d_])([xX]{2,}|[nN]{2,})(?![^\W\d_])"
)
_WORD = re.compile(r"[A-Za-z](?:[ -]?[A-Za-z]){3,}$")
_TRUNK_IN_BRACKETS = re.compile(r"([1-9][0-9]{0,2}) *[(\[] *0 *[)\]]")
_SEPARATORS = re.compile(r"[ \-.()\[\]/]")
_PLAIN = re.compile(r"[0-9+ \-.()\[\]/]+")
# The trunk prefix of Russia and its neighbors, written for their country code. No code is 8 alone.
_LONE_EIGHT = re.compile(r"[(\[ ]*8[^0-9]+[0-9]{2}")
_PLUS_FIRST = re.compile(r"^[(\[ ]*\+")
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl")
_NO_WORDS = {"none", "unknown", "test", "number", "numberx", "noneyet", "pending", "home", "empty"}
# Digits, without the trunk zero, in plans that have numbers of any length:
_LOCAL = 7  # of most numbers without area code
_WHOLE = 8  # of most whole numbers
_FULL = 10  # of a number that nothing can follow
_MOST_TRUNK_ZEROS = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """A phone number (E.164 with "+"), and the digits of the extension behind it, or ""."""

    e164: str
    extension: str = ""


def read(value: Any, region: str | None = None) -> Reading:
    """The number and the extension in this text, in any usual format.

    `value` may also be a `phonenumbers.PhoneNumber`, or have `as_e164` like the values of
    django-phonenumber-field: these contain their country. A text without "+" belongs to `region`
    (ISO 3166 alpha-2); without a region it must begin with a country code. Trunk zeros after the
    country code are removed, and old forms are changed to current ones. Raises `InvalidNumber` with
    the reason.

    The length is checked against the numbering plan. Whether the number is assigned is not checked,
    because new ranges exist before the data contains them. But an unassigned number that consists
    of an assigned one and further digits is refused, because networks ignore those digits.
    """
    region = _region(region)
    text = as_text(value)
    number = _number_object(value)
    if number is not None:
        if not _EXTENSION.fullmatch(number.extension or ""):
            raise InvalidNumber(text, Reason.EXTENSION, region)
        return Reading(_normalize(number, text, region), number.extension or "")
    plain = _without_label(text, region)
    written, extension, mark = split_extension(plain)
    if _DECIMAL.fullmatch(plain) or _DECIMAL.fullmatch(written):
        raise InvalidNumber(text, Reason.DECIMAL, region)
    if mark == "," and len(extension) >= _LOCAL:
        raise InvalidNumber(text, Reason.SEVERAL, region)
    e164 = _read_number(written, text, region)
    if mark and not _ends_there(e164, extension):
        raise InvalidNumber(text, Reason.HIDDEN, region)
    if not _EXTENSION.fullmatch(extension):
        raise InvalidNumber(text, Reason.EXTENSION, region)
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
    if not re.fullmatch(r"[1-9][0-9]{0,14}", digits) or not begins_number(digits):
        raise InvalidNumber(text, Reason.PREFIX)
    return f"+{digits}"


def has_digits(text: str) -> bool:
    """Whether there is an ASCII digit in it, so that it is meant to be a number."""
    return bool(_ASCII_DIGIT.search(text))


def _region(region: str | None) -> str | None:
    """The code in capitals, None for an empty one."""
    if region is not None and not isinstance(region, str):
        raise TypeError(f"region must be an ISO 3166 alpha-2 code or None, not {region!r}")
    return region.upper() if region else None


def _ends_there(e164: str, extension: str) -> bool:
    """Whether this is a whole number, and not the beginning of one with a hidden digit within."""
    number, longer = phonenumbers.parse(e164), phonenumbers.parse(e164 + extension[:3])
    if phonenumbers.is_possible_number_with_reason(longer) == ValidationResult.TOO_LONG:
        return True
    is_whole = len(phonenumbers.national_significant_number(number)) >= _WHOLE
    return is_valid(number) and (is_whole or not is_valid(longer))


def _number_object(value: Any) -> phonenumbers.PhoneNumber | None:
    """The number, if the value is one that knows its country."""
    is_number = isinstance(value, phonenumbers.PhoneNumber) and value.country_code
    return value if is_number else None


def _without_label(text: str, region: str | None) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidNumber(text, Reason.TOO_LONG, region)
    plain = clean(text).strip("\r\n ")
    label = _LABEL.match(plain)
    return plain[label.end() if label else 0 :].strip("<>").rstrip(",; ")


def _read_number(written: str, text: str, region: str | None) -> str:
    """The E.164 number that this cleaned text without extension means; `text` is for the error."""

    def refuse(reason: Reason) -> InvalidNumber:
        return InvalidNumber(text, reason, region)

    if not has_digits(written):
        raise refuse(Reason.TEXT if any(map(str.isalnum, written)) else Reason.EMPTY)
    if holds_several(written):
        raise refuse(Reason.SEVERAL)
    if _HIDDEN.search(written):
        raise refuse(Reason.HIDDEN)
    is_word = bool(_WORD.search(written))
    if is_word:
        written = _by_keypad(written, refuse)
    if any(character.isalpha() for character in written):
        raise refuse(Reason.LETTERS)
    if not _PLAIN.fullmatch(written):
        raise refuse(Reason.TEXT)
    try:
        normal = _read_digits(written, text, region)
    except InvalidNumber:
        if _is_range(written, region, is_read=False):
            raise refuse(Reason.SEVERAL) from None
        if _lacks_plus(written, region):
            raise refuse(Reason.PLUS) from None
        raise
    if _is_range(written, region, is_read=True):
        raise refuse(Reason.SEVERAL)
    if is_word and not _is_toll_free(normal):
        raise refuse(Reason.LETTERS)
    return normal


def _read_digits(written: str, text: str, region: str | None) -> str:
    """The E.164 number of a text of digits and separators only; `text` is for the error."""

    def refuse(reason: Reason) -> InvalidNumber:
        return InvalidNumber(text, reason, region)

    is_international = bool(_PLUS_FIRST.match(written))
    plain = _PLUS_FIRST.sub("", written)
    if "+" in plain:
        raise refuse(Reason.SEVERAL)
    if (is_international or region is None) and _LONE_EIGHT.match(plain):
        raise refuse(Reason.UNKNOWN_COUNTRY)
    digits = _SEPARATORS.sub("", plain)
    if len(digits.lstrip("0")) <= 3 < len(digits):
        raise refuse(Reason.PLACEHOLDER)
    number = _parse(digits, is_international, text, region)
    if not is_valid(number):
        reason = _unlike_written(number, digits, is_international, region)
        if reason is not None:
            raise refuse(reason)
    if is_split_by_stroke(plain, number, is_international):
        raise refuse(Reason.SEVERAL)
    return _normalize(number, text, region)


def _unlike_written(
    number: phonenumbers.PhoneNumber, digits: str, is_international: bool, region: str | None
) -> Reason | None:
    """Why these digits are no whole number, although the unassigned `number` that libphonenumber
    reads may be: it takes digits at their beginning for a trunk prefix, or adds none.
    """
    national = phonenumbers.national_significant_number(number)
    if is_international:
        written = digits.removeprefix(str(number.country_code))
        is_long = written != national and has_surplus(number.country_code, written)
        return Reason.TOO_LONG if is_long else None
    if not _lacks_trunk_zero(digits, region):
        return None
    is_long = has_surplus(number.country_code, national)
    return Reason.TOO_LONG if is_long else Reason.AREA_CODE


def _is_range(written: str, region: str | None, *, is_read: bool) -> bool:
    """Whether more digits follow a whole number, as in the range `020 7946 0123-5`.

    `is_read` is whether all of it can be one number: where plans have numbers of any length, the
    digits behind a hyphen may be the number's own, as in `030 23125-12`. Then only a number that
    nothing can follow is a whole one.
    """
    most = 0
    if is_read:
        is_local = _lacks_trunk_zero(_NOT_DIGIT.sub("", written), region) and "+" not in written
        most = _WHOLE if is_local else _FULL
    for start in starts(written):
        try:
            number = phonenumbers.parse(_read_digits(start, start, region))
        except InvalidNumber:
            continue
        if is_valid(number) and len(phonenumbers.national_significant_number(number)) >= most:
            return True
    return False


def _lacks_plus(written: str, region: str | None) -> bool:
    """Whether it would be a number with + before it, or with + in place of 00, and does not begin
    with a number of the region.
    """
    digits = _NOT_DIGIT.sub("", written)
    if region and has_surplus(phonenumbers.country_code_for_region(region), digits):
        return False
    try:
        number = phonenumbers.parse(_read_digits(f"+{digits.removeprefix('00')}", written, None))
    except InvalidNumber:
        return False
    return "+" not in written and (digits.startswith("00") or is_valid(number))


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


def _lacks_trunk_zero(digits: str, region: str | None) -> bool:
    """Whether it is written without the zero that begins a whole number of this region. Unless it
    is an assigned number behind that zero, it is a local one, whose area code is missing.
    """
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None) if region else None
    return bool(metadata and metadata.national_prefix == "0" and not digits.startswith("0"))


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
    reason = impossible(number)
    if reason is not None:
        raise InvalidNumber(text, reason, region)
    return normal


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
