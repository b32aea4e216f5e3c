"""An owner's rates as a deck that can be imported again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from ...models import ALWAYS
from .columns import ALL, COLUMNS, INTERNAL, PREFIX, VALID_FROM, Owner


def columns(owner: Owner) -> tuple[str, ...]:
    """The columns of the owner's deck: `is_internal` only if there are internal rates."""
    has_internal = owner.rates.filter(is_internal=True).exists()
    return COLUMNS if has_internal else tuple(name for name in COLUMNS if name != INTERNAL)


def rows(owner: Owner) -> Iterator[tuple[Any, ...]]:
    """The owner's rates as they stand in a deck, by prefix and first day; see `columns`."""
    stored = owner.rates.order_by(INTERNAL, PREFIX, VALID_FROM).values_list(*columns(owner))
    for prefix, *values in stored.iterator(chunk_size=2000):
        yield prefix or ALL, *map(_cell, values)


def _cell(value: Any) -> Any:
    if isinstance(value, date):
        return "" if value == ALWAYS else value.isoformat()
    return int(value) if isinstance(value, bool) else value
