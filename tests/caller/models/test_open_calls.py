"""`final_status` tells databases how few calls are open, and finds those that ended early."""

from __future__ import annotations

from datetime import datetime
from itertools import product

import pytest
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from django_poketalk.models.states import IS_OPEN, OPEN_BY_INDEX
from tests.caller.conftest import CALLEE, CALLER

pytestmark = pytest.mark.django_db
AT = timezone.now()
STATUSES: list[int | None] = [None, 0, 2, 4, 5, 7, 8]
TIMES: list[tuple[datetime | None, datetime | None]] = [(None, None), (AT, None), (None, AT)]


@pytest.fixture
def calls() -> None:
    """One with each placement, status and kind of end."""
    every = product(Placement.values, STATUSES, TIMES)
    CallRequest.objects.bulk_create(
        CallRequest(
            from_number=CALLER,
            to_number=CALLEE,
            max_duration=60,
            expires_at=AT,
            placement=placement,
            response_code="60" if placement == "rejected" else "",
            status=status,
            ended_at=ended_at,
            stale_at=stale_at,
        )
        for placement, status, (ended_at, stale_at) in every
    )


def test_the_final_status_is_0_of_open_calls_and_else_the_status(calls: None) -> None:
    open_calls = CallRequest.objects.filter(IS_OPEN)
    assert set(open_calls.values_list("final_status", flat=True)) == {0}
    others = CallRequest.objects.exclude(pk__in=open_calls.values("pk"))
    assert {call.status == call.final_status for call in others} == {True}


def test_open_calls_are_found_completely(calls: None) -> None:
    expected = {call.pk for call in CallRequest.objects.all() if call.is_open}

    assert len(expected) == 4 * len(STATUSES)
    for found in (CallRequest.objects.filter(OPEN_BY_INDEX), CallRequest.objects.open()):
        assert {call.pk for call in found} == expected


def test_a_call_that_ends_is_no_longer_found(calls: None) -> None:
    open_calls = CallRequest.objects.filter(OPEN_BY_INDEX, status=7)
    assert open_calls.update(status=8, ended_at=AT) == 4

    assert not open_calls.exists()
    assert CallRequest.objects.filter(final_status=8, placement="queued").exists()
