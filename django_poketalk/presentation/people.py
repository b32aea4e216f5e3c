"""The names of users for display."""

from __future__ import annotations

from typing import Any


def full_name(user: Any) -> str:
    """The user's full name, or else the user name. "" for None."""
    if user is None:
        return ""
    get_full_name = getattr(user, "get_full_name", None)
    return (get_full_name() if get_full_name else "") or str(user.get_username())
