"""Numbers for people: grouped, masked, and in the spellings that a page may have."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import PhoneNumberFormat

from .countries import parse, wire
from .internal import is_internal

_SHORTEST = 7  # digits of what may be a phone number in a text
_ZEROS = "0٠۰०০０"  # of the scripts whose digits are found by databases too
_DIGITS = "".join(f"{zero}-{chr(ord(zero) + 9)}" for zero in _ZEROS)
MAYBE_WITHIN = (
    f"[{_DIGITS}]([^{_DIGITS}]{{0,6}}[{_DIGITS}]){{6}}"  # for databases: 7 digits or more
)
# What may stand between two digits of a number: signs, and any spaces, dashes, invisible marks, and
# spaces and brackets as they are written in URLs and HTML.
_SIGNS = " \t\u00a0\u2000-\u2015\u202f\u2060-\u2069\u2212\u3000\uff0d\\-.()\\[\\]/"
_ODD_SIGNS = "\u00b7_:+"  # rarely in numbers, often in times, ids and sums
_SHORTEST_WITH_ODD_SIGNS = 9
_ENCODED = "%20|%C2%A0|%28|%29|%2D|%2E|%2F|&nbsp;|&\\#160;|&\\#x0*a0;"
_MAYBE_PLAIN = re.compile(rf"\+?\d(?:(?:(?i:{_ENCODED})|[{_SIGNS}]){{0,3}}\d){{6,}}")
_MAYBE_NUMBER = re.compile(rf"\+?\d(?:(?:(?i:{_ENCODED})|[{_SIGNS}{_ODD_SIGNS}]){{0,3}}\d){{6,}}")

_DAY, _MONTH, _YEAR = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])", "(?:19|20)[0-9]{2}"
_DATE = rf"""(?:
    {_YEAR}-(?:0[1-9]|1[0-2])-[0-3][0-9]
    |{_DAY}\.[ ]?{_MONTH}\.[ ]?{_YEAR}|{_DAY}/{_MONTH}/{_YEAR}|{_MONTH}/{_DAY}/{_YEAR}
)"""
_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,6})?)?"
_TIME = rf"{_CLOCK}(?:[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)?"
_TIMES = rf"{_TIME}(?:[ ]?[-\u2013][ ]?{_TIME})?"
# Not if a number goes on behind it. Behind a time, a space does not separate.
_MOMENT = rf"""
    (?:{_DATE}(?:[T ]{_TIMES})?|{_TIMES}[ ]{_DATE})(?![\w\-]|[.:/\u00b7][0-9])
    |{_TIMES}(?!\w|[{_SIGNS}:\u00b7]{{1,3}}[0-9])
"""
_IN_TEXTS = re.compile(
    rf"(?<![\w.+:/\u00b7\-])(?P<kept>{_MOMENT})|{_MAYBE_NUMBER.pattern}", re.VERBOSE
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_CHANNEL = r"poketalk-[0-9a-f]{8}(?:\.-?[0-9]+\.[0-9]+\.(?:[AB][0-9]+|bridge))?"
_IN_RECORDS = re.compile(
    rf"""
    (?<![\w.+\-])(?P<kept>
        {_MOMENT}
        |(?:
            {_OCTET}(?:\.{_OCTET}){{3}}
            |[0-9a-f]{{32}}|[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}
            |(?=[0-9a-f:]*::|(?:[0-9a-f]+:){{7}})[0-9a-f]{{0,4}}(?::[0-9a-f]{{0,4}}){{2,7}}
            |{_CHANNEL}
        )(?![\w\-]|\.[0-9])
    )
    |{_MAYBE_NUMBER.pattern}
    """,
    re.VERBOSE,
)


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
    digits or more, however grouped; 9 or more if a `·`, `_`, `:` or `+` is between them. Keeps
    dates and times.
    """
    return _IN_TEXTS.sub(_keep_or_hide, text)


def mask_in_records(text: str, pattern: str = "") -> str:
    """Like `mask_within`, for logs and histories: also keeps IP addresses, ids of 32 hexadecimal
    digits, and the switch's channels. What matches `pattern` (of `pattern_within`) is hidden in any
    case.
    """
    if _MAYBE_NUMBER.search(text):  # in few texts; this is much faster
        text = _IN_RECORDS.sub(_keep_or_hide, text)
    return re.sub(pattern, _hidden, text) if pattern else text


def _keep_or_hide(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    if sum(map(str.isdigit, found[0])) < _SHORTEST_WITH_ODD_SIGNS:
        return _MAYBE_PLAIN.sub(_hidden, found[0])
    return _hidden(found)


def _hidden(found: re.Match[str]) -> str:
    return f"••••••{''.join(filter(str.isdigit, found[0]))[-2:]}"


def pattern_within(e164: str) -> str:
    """A regular expression, for databases too, that finds the number in a text: its digits, in
    several scripts and however grouped, without the country code if 7 or more remain.
    """
    parsed = parse(e164)
    digits = phonenumbers.national_significant_number(parsed) if parsed else wire(e164)
    if len(digits) < _SHORTEST:
        digits = wire(e164)
    return r"(\D{0,3}|%20|%2D|&nbsp;)".join(
        f"[{''.join(chr(ord(zero) + int(digit)) for zero in _ZEROS)}]" for digit in digits
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
