"""Which numbers cost extra to call, also with digits behind them, which networks ignore."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
from phonenumbers import PhoneNumberType

from .countries import parse, wire

_EXPENSIVE = {
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
    PhoneNumberType.PAGER,
    PhoneNumberType.PERSONAL_NUMBER,
}
# Ranges that libphonenumber does not know, or not as expensive: how their numbers begin.
_ALSO_EXPENSIVE = {
    "1(?:600|622|633|644|655|677|688)": "Canada: CRTC Telecom Decision 2015-4, non-geographic"
    " codes, such as for satellite phones and mobile phones at the caller's cost",
    "1700": "North America: NANPA, services of the caller's long-distance carrier",
    "1[2-9][0-9]{2}976": "North America: ATIS-0300051, pay-per-call services in any area",
    "34905": "Spain: Resolución of 4 December 2008 (BOE 299), televoting as premium rate",
    "34907": "Spain: Orden PRE/361/2002, data services as premium rate",
    "3270": "Belgium: BIPT, 070, more expensive than a geographic number",
    "351(?:76[0-2]|64[68])": "Portugal: ANACOM, price for each call, such as televoting",
    "81180": "Japan: MIC numbering plan, 0180, mass calling such as televoting",
}
_BEGINS_EXPENSIVE = re.compile("|".join(_ALSO_EXPENSIVE))
_DIRECTORY_ENQUIRIES = "118"  # in Europe by ECC Recommendation (97)01
# Countries where 118 begins no other number, by their plans. Elsewhere, as in Reading (0118),
# Johannesburg (011 8…) or Sapporo, it begins ordinary numbers.
_ENQUIRIES_ALONE = ("AT", "CH", "DE", "ES", "FI", "FR", "IT", "LU", "PL", "PT")

# Countries whose company numbers (universal access numbers) cost what a call to a landline costs.
_NORMAL_PRICE_UAN = {
    "BE": "078: BIPT, royal decree of 27 April 2007, tariff of a geographic number",
    "CH": "058 and 051: OFCOM, corporate numbers, tariff of a landline",
    "FR": "0806 to 0809: Arcep decision 2012-0856, free service at the price of a normal call",
    "GB": "03 and 055: Ofcom, General Conditions B1, charged as 01 and 02",
    "GG": "as GB",
    "IE": "0818: ComReg 18/106, charged as a landline since 2021",
    "IM": "as GB",
    "JE": "as GB",
    "NL": "088 and 14 0xx: ACM number plan, charged as geographic numbers",
    "PK": "111: PTA, universal access numbers, price of a local call",
}


def is_premium(number: str) -> bool:
    """Whether calling this E.164 number costs extra: premium rate, shared cost, personal numbers,
    pagers, directory enquiries, and company numbers where the law lets them.

    The longest beginning that is a known number decides, so that digits behind it change nothing.
    """
    parsed = parse(number)
    if parsed is None or parsed.country_code is None:
        return False
    if _is_directory_enquiry(parsed) or _BEGINS_EXPENSIVE.match(wire(number)):
        return True
    for beginning in _beginnings(parsed):
        kind = phonenumbers.number_type(beginning)
        if kind != PhoneNumberType.UNKNOWN:
            return kind in _EXPENSIVE and not _is_normal_price(kind, beginning)
    return False


def _beginnings(number: phonenumbers.PhoneNumber) -> Iterator[phonenumbers.PhoneNumber]:
    """The number, and what is left of it without its last digits, longest first."""
    national = phonenumbers.national_significant_number(number)
    for length in range(len(national), 2, -1):
        shorter = parse(f"{number.country_code}{national[:length]}")
        if shorter is not None:
            yield shorter


def _is_normal_price(kind: int, number: phonenumbers.PhoneNumber) -> bool:
    region = phonenumbers.region_code_for_number(number)
    return kind == PhoneNumberType.UAN and region in _NORMAL_PRICE_UAN


def _is_directory_enquiry(number: phonenumbers.PhoneNumber) -> bool:
    """Whether it begins as a directory enquiry service of its country does."""
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    national = phonenumbers.national_significant_number(number)
    return region in _ENQUIRIES_ALONE and national.startswith(_DIRECTORY_ENQUIRIES)
