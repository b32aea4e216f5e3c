"""Internal numbers: 2 to 6 digits that only a PBX knows, such as an office's extensions.

An E.164 number has at least 7 digits, so the length tells one from the other.
"""

from __future__ import annotations

import re

import phonenumbers

_INTERNAL = re.compile(r"[0-9]{2,6}")

# Emergency services of many countries, which a PBX would connect at once.
EMERGENCY = ("000", "112", "911", "999")


def is_internal(text: str) -> bool:
    """Whether it is an internal number: 2 to 6 ASCII digits and nothing else."""
    return bool(_INTERNAL.fullmatch(text))


def is_emergency(number: str, region: str | None = None) -> bool:
    """Whether these digits reach an emergency service, in many countries or in this region, where
    no PBX has another use for them.
    """
    return number in EMERGENCY or (
        region is not None and phonenumbers.is_emergency_number(number, region)
    )
