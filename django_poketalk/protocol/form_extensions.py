"""Optional fields of a request that are ours. A service that does not know them ignores them.

These are their names in the caller's setting `SERVICE_EXTENSIONS`.
"""

from __future__ import annotations

import re

TO_EXTENSION = "to_extension"
CALLER_ID = "caller_id"
INTERNAL_NUMBERS = "internal_numbers"
KNOWN = (TO_EXTENSION, CALLER_ID, INTERNAL_NUMBERS)

TO_EXTENSION_FIELD = "x_to_extension"
CALLER_ID_FIELD = "x_caller_id"
MAX_TO_EXTENSION = 32  # digits and pauses
_TO_EXTENSION = re.compile(rf"(?=[w,]*[0-9])[0-9w,]{{1,{MAX_TO_EXTENSION}}}")


def is_to_extension(text: str) -> bool:
    """Whether this can be dialed after the answer: ASCII digits, with `w` and `,` for pauses."""
    return _TO_EXTENSION.fullmatch(text) is not None
