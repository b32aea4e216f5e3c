"""What the numbering plan of a country allows, as far as its data tell."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

from .errors import Reason

_WIRE = re.compile(r"[1-9][0-9]{6,14}")
_SEQUENCE = "01234567890123456789"
_NEVER_FIRST = {52: "01"}  # digits with which no national number of the country code begins
_TELLING = 4  # digits: a country code has at most three, and the first one behind it matters
_MOST_SURPLUS = 8  # digits behind a number, of at most 15, that make it another text


def impossible(number: phonenumbers.PhoneNumber) -> Reason | None:
    """Why this cannot be a whole number of its country's plan; None if it can."""
    digits = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
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
    if is_pattern and not is_valid(number):
        return Reason.PLACEHOLDER
    if result == ValidationResult.TOO_LONG or len(digits) > 15:
        return Reason.TOO_LONG
    if result != ValidationResult.IS_POSSIBLE or not _WIRE.fullmatch(digits):
        return Reason.TOO_SHORT
    if is_valid(number):
        return None
    if number.country_code == 1 and (national[0] in "01" or national[3] in "01"):
        return Reason.IMPOSSIBLE  # area and exchange codes begin with 2 to 9 (NANPA)
    return Reason.TOO_LONG if has_surplus(number.country_code, national) else None


def is_valid(number: phonenumbers.PhoneNumber) -> bool:
    """Whether it is in a range that is assigned."""
    return phonenumbers.is_valid_number(number)


def _has_no_zero(number: phonenumbers.PhoneNumber) -> bool:
    """Whether no number of this country code begins with a zero, as far as the data knows."""
    if is_valid(number):
        return False
    code = number.country_code or 0
    return not any(
        phonenumbers.national_significant_number(example).startswith("0")
        for region in phonenumbers.region_codes_for_country_code(code)
        for kind in PhoneNumberType.values()
        if (example := phonenumbers.example_number_for_type(region, kind))
    )


def has_surplus(code: int | None, national: str) -> bool:
    """Whether a number that is not assigned begins with one that is. `national` is its digits
    behind the country code.
    """
    return any(
        _is_assigned(f"+{code}", national[:length])
        for length in range(max(len(national) - _MOST_SURPLUS, 3), len(national))
    )


def _is_assigned(code: str, national: str) -> bool:
    try:
        number = phonenumbers.parse(code + national)
    except NumberParseException:
        return False
    is_whole = phonenumbers.national_significant_number(number) == national
    return is_whole and is_valid(number)


def begins_number(digits: str) -> bool:
    """Whether numbers of some country begin so, or the digits are the beginning of its code."""
    return bool(_begins_number(digits[:_TELLING]))


@lru_cache(maxsize=10**_TELLING)  # type: ignore[untyped-decorator]
def _begins_number(digits: str) -> bool:
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
