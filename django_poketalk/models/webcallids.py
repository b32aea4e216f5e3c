"""The ids of calls, as services know them."""

from __future__ import annotations

import secrets


def new_webcallid() -> str:
    """A random id that is unique among the calls of all projects (128 bits, 32 hexadecimal
    digits).
    """
    return secrets.token_hex(16)
