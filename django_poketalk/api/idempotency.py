"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

A key is its user's own. A string of Structured Fields (RFC 9651) is meant, in quotation marks; the
same key without them is taken as well, as many clients send it.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from rest_framework.request import Request

from .problems import InvalidHeader

HEADER = "Idempotency-Key"
LONGEST = 255  # characters
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~:/=@-]+")


def key(request: Request) -> str | None:
    """The request's key, marked as one of the API's; None when it has none. `InvalidHeader`."""
    given: str | None = request.headers.get(HEADER)
    if given is None:
        return None
    text = given.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    bare = quoted[1] if quoted else text
    if not (quoted or _BARE.fullmatch(text)) or not 0 < len(bare) <= LONGEST:
        sentence = _("An Idempotency-Key has 1 to %d visible ASCII characters, best in quotes.")
        raise InvalidHeader(HEADER, sentence % LONGEST)
    return f"api-{bare}"
