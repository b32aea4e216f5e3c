"""Protects rows from deletion without reading all that refer to them, which may be millions."""

from __future__ import annotations

from typing import Any

from django.db.models.deletion import Collector, ProtectedError

MAX_PROTECTED = 20  # rows listed when what they refer to cannot be deleted


def protect(collector: Collector, field: Any, rows: Any, using: str) -> None:
    """Like `models.PROTECT`, but the error has at most `MAX_PROTECTED` of the rows."""
    few = set(rows[:MAX_PROTECTED])
    if few:
        raise ProtectedError(f"{field} protects what it refers to.", few)


protect.lazy_sub_objs = True  # type: ignore[attr-defined]  # do not load all rows
