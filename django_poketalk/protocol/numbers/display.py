"""Numbers for people: grouped, masked, and in the spellings that a page may have."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import PhoneNumberFormat

from .countries import parse, wire
from .internal import is_internal

_MAYBE_NUMBER = re.compile(r"\+?\d(?:[ \u00a0\-.()\[\]/]{0,3}\d){6,}")


def display(number: str, extension: str = "") -> str:
    """Grouped for reading, e.g. `+44 20 7946 0123 ext. 12`. A number that does not parse stays as
    it is, and so do internal numbers. `read` reads the result back.
    """
    parsed = None if is_internal(number) else parse(number)
    if parsed is not None:
        number = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
    return _joined(number, extension)


def mask(number: str, extension: str = "") -> str:
    """For those who may not see it: country code and last two digits, e.g. `+44 ••••••••23`, and
    nothing of the extension but its length. Internal numbers have no country code: `••01`.
    """
    return _joined(_mask(number), "•" * len(extension))


def _joined(number: str, extension: str) -> str:
    return f"{number} ext. {extension}" if number and extension else number


def _mask(number: str) -> str:
    parsed = None if is_internal(number) else parse(number)
    digits = wire(number)
    code = "" if parsed is None else str(parsed.country_code)
    hidden = max(0, len(digits) - len(code) - 2)
    if not hidden:
        return "•" * len(digits)
    return f"+{code} {'•' * hidden}{digits[-2:]}" if code else f"{'•' * hidden}{digits[-2:]}"


def mask_within(text: str) -> str:
    """The text with all that may be a phone number in it hidden but for its last two digits: 7
    digits or more, however grouped.
    """
    return _MAYBE_NUMBER.sub(
        lambda found: f"••••••{''.join(filter(str.isdigit, found[0]))[-2:]}", text
    )


def spellings(e164: str, region: str | None = None) -> set[str]:
    """How the number's digits may stand in a text, with a leading "+" or not: international, with
    "00", with the trunk zero that some write behind the country code, and for numbers of `region`
    national.
    """
    digits = wire(e164)
    found = {f"+{digits}", f"00{digits}", digits}
    parsed = parse(e164)
    if parsed is None:
        return found
    national = re.sub(r"[^0-9]", "", phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL))
    if national != digits.removeprefix(str(parsed.country_code)):  # it has a trunk prefix
        found.add(f"+{parsed.country_code}{national}")
    if region and parsed.country_code == phonenumbers.country_code_for_region(region):
        found.add(national)
    return found
