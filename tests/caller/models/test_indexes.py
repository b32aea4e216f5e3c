"""The indexes of calls contain no columns that events write, and find the few among many."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import Q

from django_poketalk.models import STAGES, CallRequest
from django_poketalk.models.indexes import IS_VETOED

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


def test_the_condition_of_the_index_of_open_calls_says_how_few_they_are() -> None:
    """PostgreSQL estimates how many rows an index has by its condition. Of the other columns, it
    knows only how many rows have each value alone.
    """
    [index] = [each for each in CallRequest._meta.indexes if each.name == "poketalk_open"]

    assert index.condition is not None
    assert "final_status" in columns(index.condition)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="Others plan by the number of rows.")
@pytest.mark.parametrize(
    ("calls", "index"),
    [
        (CallRequest.objects.filter(IS_VETOED), "poketalk_vetoed"),
        (CallRequest.objects.filter(IS_VETOED, veto_reason="a rule"), "poketalk_veto_reason"),
    ],
)
def test_an_index_finds_vetoed_calls(calls: Any, index: str) -> None:
    assert index in calls.order_by("-id").explain()
