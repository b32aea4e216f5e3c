"""Recording events: the row does not depend on their order, nor on the implementation for the
database.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from django_poketalk.calls import requesting
from django_poketalk.events import recording
from django_poketalk.models import STAGES, CallRequest
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event

from ..conftest import CALLEE, CALLER

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENTS = st.builds(
    Event,
    status=st.sampled_from(CallStatus),
    duration=st.none() | st.integers(0, 999_999_999),
    cost=st.none() | st.decimals(0, 999_999, places=6),
)
# Seconds from a moment until noon, or None for a moment that never came
AGO = st.none() | st.integers(-90, 2 * 86_400) | st.floats(-1, 200)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "sent_at": AGO,
        "ended_at": AGO,
        "stale_at": AGO,
        "max_duration": st.sampled_from([1, 60, 3600, 2**31 - 1]),
        "max_cost": st.none() | st.decimals(0, 1000, places=6),
    },
)
FACTS = ("status", "duration", "cost", "placement", "stale_at", "last_event_at", "status_at")


def new_call(**state: Any) -> CallRequest:
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE)
    defaults = {"created_at": NOON, "stale_at": NOON, "placement": "unknown"}
    CallRequest.objects.filter(pk=call.pk).update(**(defaults | state))
    return call


def at_noon(state: dict[str, Any]) -> dict[str, Any]:
    """The state with the moments that its seconds mean."""
    return {
        name: NOON - timedelta(seconds=value)
        if name.endswith("_at") and value is not None
        else value
        for name, value in state.items()
    }


def payload(call: CallRequest) -> dict[str, Any]:
    row = CallRequest.objects.get(pk=call.pk)
    return {
        **{name: getattr(row, name) for name in (*FACTS, *STAGES.values())},
        "events": list(
            row.events.values_list(
                *("received_at", "remote_address", "status", "duration", "cost", "answer"),
                *("reason", "slot", "times"),
            )
        ),
    }


class RecordingLaws(TestCase):
    @given(st.lists(EVENTS, min_size=1, max_size=8), STATES)
    def test_the_single_statement_and_the_orm_produce_the_same_row(
        self, history: list[Event], state: dict[str, Any]
    ) -> None:
        fast, plain = new_call(**at_noon(state)), new_call(**at_noon(state))

        for second, event in enumerate(history):
            now = NOON + timedelta(seconds=1.3 * second)
            one = recording.record(fast.pk, event, f"192.0.2.{second}", now)
            other = recording.under_lock("default", plain.pk, event, f"192.0.2.{second}", now)
            assert (one is None) == (other is None)
            if one is None or other is None:
                continue
            assert one.facts == other.facts
            assert (one.status_changed, one.is_over) == (other.status_changed, other.is_over)

        assert payload(fast) == payload(plain)

    @given(st.data())
    def test_any_order_of_events_produces_the_same_row(self, data: st.DataObject) -> None:
        history = data.draw(st.lists(EVENTS, min_size=1, max_size=8))
        shuffled = data.draw(st.permutations(history))
        call, other = new_call(), new_call()

        for event in history:
            recording.record(call.pk, event, "", NOON)
        for event in shuffled:
            recording.record(other.pk, event, "", NOON)

        ended, also = payload(call), payload(other)
        assert {k: v for k, v in ended.items() if k != "events"} == {
            k: v for k, v in also.items() if k != "events"
        }
        assert sum(event[-1] for event in ended["events"]) == len(history)
        assert {event[-2:] for event in ended["events"]} == {event[-2:] for event in also["events"]}

    @given(st.lists(EVENTS, min_size=1, max_size=8))
    def test_status_duration_and_cost_never_decrease_and_a_final_status_stays(
        self, history: list[Event]
    ) -> None:
        call = new_call()
        rank, duration, cost = -1, 0, Decimal(0)

        for event in history:
            recording.record(call.pk, event, "", NOON)
            row = CallRequest.objects.get(pk=call.pk)
            status = CallStatus(row.status)
            assert (status.rank, row.duration, row.cost) >= (rank, duration, cost)
            assert row.duration >= duration
            assert row.cost >= cost
            rank, duration, cost = status.rank, row.duration, row.cost

        assert status.is_final == any(event.status.is_final for event in history)


def test_an_event_without_a_call_writes_nothing(db: None) -> None:
    event = Event(CallStatus.A_ANSWERED)

    assert recording.record(1, event, "", NOON) is None
    assert recording.under_lock("default", 1, event, "", NOON) is None


def test_only_necessary_columns_are_written_and_nothing_is_read_first(
    db: None, django_assert_max_num_queries: Any
) -> None:
    call = new_call()

    with django_assert_max_num_queries(10) as queries:
        recording.record(call.pk, Event(CallStatus.A_ANSWERED), "", NOON)

    statements = [query["sql"].split()[0].upper() for query in queries.captured_queries]
    work = [verb for verb in statements if verb not in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")]
    assert {
        "postgresql": ["WITH"],
        "sqlite": ["UPDATE", "INSERT"],
    }.get(connection.vendor, ["UPDATE", "SELECT", "UPDATE", "UPDATE", "INSERT"]) == work


@pytest.fixture
def waits_for_the_disk(db: None) -> Iterator[None]:
    """Commits wait for the disk, as PostgreSQL's do by default, but not those of other tests."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
        yield
        cursor.execute("RESET synchronous_commit")


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="Other databases always wait.")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("waits_for_the_disk")
def test_only_the_commit_of_a_repeated_status_does_not_wait_for_the_disk() -> None:
    call = new_call(created_at=NOON)
    history = [3, 7, 7, 3, 7, 8, 8]

    def waits(second: int, status: int) -> bool:
        """Record this event as if it were alone in the transaction."""
        sql = recording._statement("default", CallStatus(status), alone=True)
        event, now = Event(CallStatus(status)), NOON + timedelta(seconds=second)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, recording._parameters("default", call.pk, event, "", now))
            assert cursor.fetchone()
            cursor.execute("SHOW synchronous_commit")
            return bool(cursor.fetchone() != ("off",))

    assert [waits(*each) for each in enumerate(history)] == [
        True,
        True,
        False,
        True,
        False,
        True,
        True,
    ]


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="Other databases always wait.")
@pytest.mark.usefixtures("waits_for_the_disk")
def test_the_commit_of_a_transaction_around_an_event_waits_for_the_disk() -> None:
    call = new_call(created_at=NOON)
    for second in range(2):
        now = NOON + timedelta(seconds=second)
        assert recording.record(call.pk, Event(CallStatus.B_ANSWERED), "", now)

    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() != ("off",)
