"""Recording events: the row does not depend on their order, nor on the implementation for the
database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone as clock
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
FACTS = ("status", "duration", "cost", "placement", "stale_at", "last_event_at", "status_at")


def new_call() -> CallRequest:
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE)
    CallRequest.objects.filter(pk=call.pk).update(stale_at=NOON, placement="unknown")
    return call


def payload(call: CallRequest) -> dict[str, Any]:
    row = CallRequest.objects.get(pk=call.pk)
    return {
        **{name: getattr(row, name) for name in (*FACTS, *STAGES.values())},
        "events": list(
            row.events.values_list("received_at", "status", "duration", "cost", "answer", "reason")
        ),
    }


class RecordingLaws(TestCase):
    @given(st.lists(EVENTS, min_size=1, max_size=8))
    def test_the_single_statement_and_the_orm_produce_the_same_row(
        self, history: list[Event]
    ) -> None:
        fast, plain = new_call(), new_call()

        for second, event in enumerate(history):
            now = NOON + timedelta(seconds=second)
            one = recording.record(fast.pk, event, "192.0.2.1", now)
            other = recording.under_lock("default", plain.pk, event, "192.0.2.1", now)
            assert one is not None
            assert other is not None
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
        assert len(ended["events"]) == len(history)

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
        recording.record(call.pk, Event(CallStatus.A_ANSWERED), "", clock.now())

    statements = [query["sql"].split()[0].upper() for query in queries.captured_queries]
    work = [verb for verb in statements if verb not in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")]
    assert {
        "postgresql": ["WITH"],
        "sqlite": ["UPDATE", "INSERT"],
    }.get(connection.vendor, ["UPDATE", "SELECT", "UPDATE", "INSERT"]) == work
