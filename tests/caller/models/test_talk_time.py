"""The talk time of calls, which is what people see as their length."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.models import CallRequest

from ..people import connected

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW + timedelta(seconds=seconds)


def ended(call: CallRequest, a: float | None, b: float | None, **facts: Any) -> CallRequest:
    times = {"a_answered_at": at(a), "b_answered_at": at(b), "ended_at": at(100)}
    return connected(call, **{"status": 8, **times, **facts})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("a", "b", "duration", "status", "expected"),
    [
        (5, 20, 75, 8, 60),
        (5.9, 20.1, 75, 8, 60),  # in whole seconds, as the service counts
        (5, 20, 10, 8, 0),  # never negative
        (5, None, 75, 4, 0),  # the callee did not answer
        (5, None, 75, 8, 75),  # that event was missed
        (None, 20, 75, 8, 75),  # that of the caller was
        (20, 5, 75, 8, 75),  # that of the caller arrived late
        (5, 101, 75, 8, 75),  # that of the callee arrived after the end
        (5, 20, 75, 7, 60),
    ],
)
def test_talk_time_counts_from_the_callees_answer(
    a: float | None, b: float | None, duration: int, status: int, expected: int, call: CallRequest
) -> None:
    ended(call, a, b, duration=duration, status=status)

    assert (call.talk_time, call.final_talk_time) == (expected, expected)


@pytest.mark.django_db
def test_the_column_and_the_attribute_agree_for_any_call(call: CallRequest) -> None:
    rng = random.Random(7)
    for _ in range(200):
        times = (rng.choice([None, rng.uniform(-3, 3000)]) for _leg in "ab")
        facts: dict[str, Any] = {"status": rng.choice([None, *range(9)])}
        facts["duration"] = rng.choice([0, rng.randint(0, 4000)])
        if rng.random() < 0.5:
            facts |= {"ended_at": None, "stale_at": at(100)}
        ended(call, *times, **facts)

        assert call.talk_time == call.final_talk_time, (call.a_answered_at, call.b_answered_at)


@pytest.mark.django_db
def test_a_call_that_goes_on_has_a_talk_time_but_not_a_final_one(call: CallRequest) -> None:
    answered = timezone.now() - timedelta(seconds=40)
    earlier = answered - timedelta(seconds=15)
    connected(call, a_answered_at=earlier, b_answered_at=answered, duration=55)

    assert call.talk_time in (40, 41)
    assert call.final_talk_time == 0

    connected(call, status=3, a_answered_at=earlier, b_answered_at=None, duration=55)

    assert call.talk_time == 0
