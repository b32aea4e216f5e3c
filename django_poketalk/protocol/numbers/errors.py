"""Why a text is no phone number that can be called."""

from __future__ import annotations

import enum

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType


class Reason(enum.StrEnum):
    """The kinds of reasons, as the REST API and the tests name them."""

    EMPTY = "empty"
    TEXT = "text"
    LETTERS = "letters"
    HIDDEN = "hidden_digits"
    DECIMAL = "decimal"
    SEVERAL = "several_numbers"
    PLACEHOLDER = "placeholder"
    NO_COUNTRY = "country_code_missing"
    PLUS = "plus_missing"
    UNKNOWN_COUNTRY = "country_code_unknown"
    AREA_CODE = "area_code_missing"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    IMPOSSIBLE = "impossible"
    EXTENSION = "extension"
    PREFIX = "prefix"


class InvalidNumber(ValueError):
    """The text is not a phone number, or is ambiguous.

    `reason` is the kind of error. `sentence` describes it in English, with `%(…)s` for `params`;
    translate it with `gettext`. `str()` is the text in quotes, and the complete sentence.
    """

    def __init__(self, text: object, reason: Reason, region: str | None = None) -> None:
        self.text = str(text)[:40]
        self.reason = reason
        self.sentence = _SENTENCES[reason]
        of_region = None if reason is Reason.PLUS else region
        self.params = {"number": self.text, "example": example(of_region)}
        super().__init__(f"{self.text!r}: {self.sentence % self.params}")


def example(region: str | None) -> str:
    """A number as it is written in this region, such as `0121 234 5678`; international without a
    region.
    """
    number = region and phonenumbers.example_number_for_type(region, PhoneNumberType.FIXED_LINE)
    if not number:
        return "+44 20 7946 0123"
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)


def _(text: str) -> str:
    """Marks a text for the catalogs; this package knows no Django and does not translate."""
    return text


_SENTENCES = {
    Reason.EMPTY: _("Enter a phone number, such as %(example)s."),
    Reason.TEXT: _("“%(number)s” is not a phone number. Enter one such as %(example)s."),
    Reason.LETTERS: _(
        "“%(number)s” has letters. Only the words of toll-free numbers may have letters, such as"
        " 1-800-FLOWERS."
    ),
    Reason.HIDDEN: _("Digits of “%(number)s” are hidden or missing."),
    Reason.DECIMAL: _(
        "“%(number)s” is a decimal number, as spreadsheets write it. Enter the phone number as"
        " text, such as %(example)s."
    ),
    Reason.SEVERAL: _("“%(number)s” holds more than one phone number. Enter only one."),
    Reason.PLACEHOLDER: _("“%(number)s” is a placeholder, not a phone number."),
    Reason.NO_COUNTRY: _(
        "The country code of “%(number)s” is missing. Enter the number with + and country code,"
        " such as %(example)s."
    ),
    Reason.PLUS: _(
        "“%(number)s” seems to begin with a country code. Write + before the code, and not 00, such"
        " as %(example)s."
    ),
    Reason.UNKNOWN_COUNTRY: _("“%(number)s” does not begin with the code of a country."),
    Reason.AREA_CODE: _(
        "The area code of “%(number)s” is missing. Enter the whole number, such as %(example)s."
    ),
    Reason.TOO_SHORT: _("“%(number)s” is too short. Enter the whole number, such as %(example)s."),
    Reason.TOO_LONG: _("“%(number)s” has more digits than a phone number of its country."),
    Reason.IMPOSSIBLE: _("“%(number)s” cannot be a phone number of its country."),
    Reason.EXTENSION: _(
        "The extension of “%(number)s” is too long or cannot be used here. Enter the number without"
        " it."
    ),
    Reason.PREFIX: _(
        "“%(number)s” is not the beginning of an international number. Enter + and the country"
        " code first, such as +4420."
    ),
}
