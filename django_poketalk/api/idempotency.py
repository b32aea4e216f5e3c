"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

Each user has keys of their own. The value is a string of Structured Fields (RFC 9651), in quotation
marks; the same key without them is accepted too, since many clients send it.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from rest_framework.request import Request

from ..shared.problems import Problem

HEADER = "Idempotency-Key"
KEY_LENGTH = 255  # characters
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~:/=@-]+")


def key(request: Request) -> str | None:
    """The request's key with the API's prefix, or None without the header. A 400 `Problem` if it is
    invalid.
    """
    value: str | None = request.headers.get(HEADER)
    if value is None:
        return None
    text = value.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    bare = quoted[1] if quoted else text
    if not (quoted or _BARE.fullmatch(text)) or not 0 < len(bare) <= KEY_LENGTH:
        sentence = _("An Idempotency-Key has 1 to %d visible ASCII characters, best in quotes.")
        raise Problem(400, "invalid_header", sentence % KEY_LENGTH, header=HEADER)
    return f"api-{bare}"
