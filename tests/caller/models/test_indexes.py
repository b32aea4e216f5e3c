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


def test_no_two_indexes_begin_with_the_same_column() -> None:
    meta = CallRequest._meta
    alone = {field.name for field in meta.fields if field.db_index or field.unique}
    first = [i.fields[0].removeprefix("-") for i in meta.indexes if i.condition is None]

    assert alone & set(first) == set()
    assert len(first) == len(set(first))
