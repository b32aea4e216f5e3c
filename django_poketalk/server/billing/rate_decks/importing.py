"""Writes what a comparison says, all of it or nothing, and undoes the last import of an owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from django.db import transaction

from django_poketalk.server.database import bulk_sql
from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import DeckImport

from .columns import KEY, TERMS, Owner
from .comparison import (
    CHANGED,
    DELETED,
    NEW,
    Change,
    Comparison,
    compare,
    from_json,
    stored,
)
from .reading import Deck

BATCH = 500


class RatesChanged(Exception):
    """The stored rates are not those that somebody has confirmed the changes of."""


def run(
    owner: Owner,
    deck: Deck,
    *,
    delete_missing: bool = False,
    by: Any = None,
    expected: str = "",
) -> Comparison:
    """Import the deck as the owner's rates, on behalf of the user `by`. Nothing is written if a
    line is wrong. `expected` is the digest of the changes that were confirmed; `RatesChanged` if
    there are others now.
    """
    with transaction.atomic():
        record = _lock(owner)
        comparison = compare(owner, deck, delete_missing=delete_missing)
        if expected and comparison.digest != expected:
            raise RatesChanged
        if comparison.changes:
            write(owner, comparison.changes)
            counts = comparison.counts
            record.new, record.changed = counts[NEW], counts[CHANGED]
            record.deleted = counts[DELETED]
            record.changes = comparison.as_json
            record.imported_at, record.imported_by = database_now(), by
            record.save()
        else:
            transaction.set_rollback(True)  # the last import stays the one that can be undone
    return comparison


def last_import(owner: Owner) -> DeckImport | None:
    """The import that `undo` undoes."""
    found: DeckImport | None = _imports(owner).first()
    return found


def undoing(owner: Owner, record: DeckImport) -> Comparison:
    """What undoing it changes. `RatesChanged` if one of its rates has been changed since."""
    changes = [change.reversed() for change in from_json(record.changes)]
    now = stored(owner)
    if any(now.get(change.key) != change.before for change in changes):
        raise RatesChanged
    return Comparison(owner, changes)


def undo(owner: Owner, record: DeckImport) -> Comparison:
    """Undo this import of the owner's. `RatesChanged` if there was another one since, or one of its
    rates has been changed.
    """
    with transaction.atomic():
        locked = _imports(owner).select_for_update().first()
        if locked is None or locked.imported_at != record.imported_at:
            raise RatesChanged
        comparison = undoing(owner, locked)
        write(owner, comparison.changes)
        locked.delete()
    return comparison


def write(owner: Owner, changes: Sequence[Change]) -> None:
    """Write the changes."""
    model: Any = owner.rates.model
    gone: dict[tuple[bool, date], list[str]] = defaultdict(list)
    for change in changes:
        if change.after is None:
            gone[change.key.is_internal, change.key.valid_from].append(change.key.prefix)
    for (is_internal, day), prefixes in gone.items():
        rates = owner.rates.filter(is_internal=is_internal, valid_from=day)
        for batch in _batches(prefixes):
            rates.filter(prefix__in=batch).delete()
    keys = (model.owner_field, *KEY)
    for kind, unique in ((NEW, ()), (CHANGED, keys)):
        rows = [(owner.pk, *each.key, *each.terms) for each in changes if each.kind == kind]
        bulk_sql.insert_values(model, (*keys, *TERMS), rows, unique=unique)


def _batches(prefixes: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(prefixes), BATCH):
        yield prefixes[start : start + BATCH]


def _imports(owner: Owner) -> Any:
    return DeckImport.objects.filter(**{owner.rates.model.owner_field: owner})


def _lock(owner: Owner) -> DeckImport:
    """The record of the owner's last import, locked: imports of one owner run one at a time. The
    owner itself is not locked, because that would stop admissions.
    """
    found: DeckImport
    found, _is_new = DeckImport.objects.select_for_update().get_or_create(
        **{owner.rates.model.owner_field: owner}, defaults={"imported_at": database_now()}
    )
    return found
