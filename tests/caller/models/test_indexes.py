"""The indexes of calls contain no columns that events write."""

from __future__ import annotations

from django.db.models import Q

from django_poketalk.models import STAGES, CallRequest

# The columns that events of an open call write. Only its end moves the row between indexes.
WRITTEN = {"status", "status_at", "last_event_at", "duration", "cost", *STAGES.values()}
ENDING = {"ended_at"}


def columns(condition: Q) -> set[str]:
    found: set[str] = set()
    for child in condition.children:
        found |= columns(child) if isinstance(child, Q) else {str(child[0]).split("__")[0]}
    return found


def test_no_index_has_a_column_that_events_of_an_open_call_write() -> None:
    indexed: set[str] = set()
    for index in CallRequest._meta.indexes:
        indexed.update(name.removeprefix("-") for name in index.fields)
        if index.condition is not None:
            indexed |= columns(index.condition)
    assert "created_at" in indexed
    assert indexed & (WRITTEN - ENDING) == set()


def test_no_index_does_what_another_does() -> None:
    meta = CallRequest._meta
    alone = {(field.name,) for field in meta.fields if field.db_index or field.unique}
    indexes = [tuple(index.fields) for index in meta.indexes if index.condition is None]

    assert len(indexes) == len(set(indexes))
    assert alone.isdisjoint(fields[:1] for fields in indexes)
    beginnings = {fields[:length] for fields in indexes for length in range(1, len(fields))}
    assert beginnings.isdisjoint(indexes)
