"""Phone numbers. They are stored as E.164 with "+", sent as digits only, and displayed grouped or
masked.
"""

from .charges import is_premium
from .cleaning import clean
from .countries import (
    COUNTRY_LENGTH,
    COUNTRY_LENGTHS,
    country,
    country_of_code,
    is_country,
    is_satellite,
    wire,
)
from .display import (
    MAYBE_WITHIN,
    display,
    mask,
    mask_in_records,
    mask_within,
    pattern_within,
    spellings,
)
from .errors import InvalidNumber, Reason
from .extensions import MAX_EXTENSION
from .internal import is_emergency, is_internal
from .reading import (
    MAX_TEXT_LENGTH,
    Reading,
    as_text,
    has_digits,
    normalize,
    normalize_prefix,
    read,
    read_wire,
)

__all__ = [
    "COUNTRY_LENGTH",
    "COUNTRY_LENGTHS",
    "MAX_EXTENSION",
    "MAX_TEXT_LENGTH",
    "MAYBE_WITHIN",
    "InvalidNumber",
    "Reading",
    "Reason",
    "as_text",
    "clean",
    "country",
    "country_of_code",
    "display",
    "has_digits",
    "is_country",
    "is_emergency",
    "is_internal",
    "is_premium",
    "is_satellite",
    "mask",
    "mask_in_records",
    "mask_within",
    "normalize",
    "normalize_prefix",
    "pattern_within",
    "read",
    "read_wire",
    "spellings",
    "wire",
]
