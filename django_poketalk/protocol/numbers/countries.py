"""Which country a number is of, also where several share a country code."""

from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

# Networks of no country, where fraud is paid for: satellites and global services (ITU-T E.164,
# assigned country codes).
_GLOBAL_SERVICES = ("870", "878", "881", "882", "883", "888", "979")
# Satellite networks that share a country's code, which libphonenumber calls mobile or fixed.
_NATIONAL_SATELLITES = (
    "61145",  # Australia: ACMA numbering plan, 014 satellite services
    "61147",
    "7954",  # Russia: GlobalTel, Rossvyaz code 954
    "861349",  # China: MIIT, Iridium and Globalstar gateway
    "861740",  # China: MIIT, Tiantong
    "861741",
    "861742",
    "861743",
    "861744",
    "861745",
    "62868",  # Indonesia: PSN, ByRU
)
SATELLITE = _GLOBAL_SERVICES + _NATIONAL_SATELLITES

# Territories whose numbers share another's code, and that libphonenumber takes for its. None: ISO
# 3166 has no code for it, so that it can only be allowed by prefix.
_TERRITORIES = {
    "390549": "SM",  # San Marino by way of Italy (ITU Operational Bulletin 2005)
    "90392": None,  # Northern Cyprus by way of Turkey, landlines
    # Its mobile networks (libphonenumber, carrier data of +90; 53388 and 5488 by the numbers that
    # companies in Northern Cyprus publish).
    **dict.fromkeys([f"90533{part}" for part in range(83, 89)]),  # Kuzey Kıbrıs Turkcell
    **dict.fromkeys([f"90542{part}" for part in range(85, 89)]),  # KKTC Telsim
    "905488": None,
    "7840": None,  # Abkhazia by way of Russia (Rossvyaz, codes 840 and 940)
    "7940": None,
    "7850": None,  # South Ossetia by way of Russia
}

# Countries whose numbers libphonenumber takes for those of the country code's main country.
_ISLANDS_FIRST = {44: ("GG", "IM", "JE")}  # Ofcom: Crown dependencies have mobile ranges within 07

# How many characters of a number, with its "+", determine its country: as many where it begins so
# (the longest counts), else those of the longest country code.
COUNTRY_LENGTH = 4
COUNTRY_LENGTHS = {
    "+1": 5,  # North America: by area code
    "+18001": 6,  # toll-free, in the Dominican Republic
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
    **{f"+{prefix}": len(prefix) + 1 for prefix in (*_NATIONAL_SATELLITES, *_TERRITORIES)},
}


def country(number: str) -> str | None:
    """The number's country (ISO 3166 alpha-2). None if the number has none, belongs to a satellite
    service, or may belong to several countries.
    """
    parsed = parse(number)
    if parsed is None or parsed.country_code is None or is_satellite(number):
        return None
    digits = wire(number)
    for prefix, territory in _TERRITORIES.items():
        if digits.startswith(prefix):
            return territory
    for island in _ISLANDS_FIRST.get(parsed.country_code, ()):
        if _is_of(parsed, island):
            return island
    region = phonenumbers.region_code_for_number(parsed)
    if region is None:
        regions = phonenumbers.region_codes_for_country_code(parsed.country_code)
        region = regions[0] if len(regions) == 1 else None
    return None if region == "001" else region


def _is_of(number: phonenumbers.PhoneNumber, region: str) -> bool:
    """Whether it is a landline or mobile number of this region, by its own plan."""
    kinds = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    is_valid = phonenumbers.is_valid_number_for_region(number, region)
    return is_valid and phonenumbers.number_type(number) in kinds


def country_of_code(number: str) -> str | None:
    """ISO 3166 alpha-2 code of the country that the number's country code belongs to. Where several
    share it: the one that most of its numbers belong to. None when it belongs to no country.
    """
    parsed = parse(number)
    if parsed is None or parsed.country_code is None:
        return None
    region = phonenumbers.region_code_for_country_code(parsed.country_code)
    return None if region in ("001", "ZZ") else region


def is_country(code: str) -> bool:
    """Whether it is the ISO 3166 alpha-2 code of a country with phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def is_satellite(number: str) -> bool:
    """Whether it belongs to a satellite network or another global service."""
    return wire(number).startswith(SATELLITE)


def parse(number: str) -> phonenumbers.PhoneNumber | None:
    """The E.164 number, with "+" or not, as libphonenumber knows it; None when it knows none."""
    try:
        return phonenumbers.parse(f"+{wire(number)}", None)
    except NumberParseException:
        return None


def wire(number: str) -> str:
    """Digits only, country code first: as a number is sent on the wire."""
    return number.removeprefix("+")
