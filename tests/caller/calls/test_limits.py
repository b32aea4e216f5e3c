"""Invalid limits and prefixes, and calls that can no longer be canceled."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest, Placement

NewCall = Callable[..., CallRequest]


@pytest.mark.parametrize(
    "limit",
    [
        {"max_duration": 0},
        {"max_duration": 0.5},
        {"max_duration": 2**31},
        {"max_duration": float("nan")},
        {"max_cost": Decimal("-0.1")},
        {"max_cost": Decimal("1e-9")},
        {"max_cost": Decimal("NaN")},
        {"max_cost": Decimal("Infinity")},
        {"max_cost": Decimal("1E12")},
        {"max_cost": "much"},
    ],
    ids=str,
)
def test_an_invalid_limit_is_refused(new_call: NewCall, limit: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refusal:
        new_call(**limit)

    assert refusal.value.code == "limit_invalid"
    assert not CallRequest.objects.exists()


def test_a_cost_is_rounded_down_to_millionths(new_call: NewCall) -> None:
    assert new_call(max_cost=Decimal("0.1234567")).max_cost == Decimal("0.123456")


@pytest.mark.parametrize("written", ["", "+", "0044"])
def test_an_invalid_prefix_does_not_allow_all_numbers(
    new_call: NewCall, poketalk: Callable[..., None], written: str
) -> None:
    poketalk(ALLOWED_COUNTRIES=["GB"], ALLOWED_PREFIXES=["+4930", written])

    with pytest.raises(ImproperlyConfigured, match="ALLOWED_PREFIXES"):
        new_call(to_number="+870773111632")  # a satellite's


def test_a_prefix_can_be_written_in_groups(
    new_call: NewCall, poketalk: Callable[..., None]
) -> None:
    poketalk(ALLOWED_COUNTRIES=["GB"], ALLOWED_PREFIXES=["+49 30"])

    assert new_call(to_number="+4930231251234").pk


@pytest.mark.parametrize("placement", sorted({*Placement.values} - {Placement.QUEUED}))
def test_a_call_that_may_have_been_sent_cannot_be_canceled(
    call: CallRequest, placement: str
) -> None:
    CallRequest.objects.filter(pk=call.pk).update(placement=placement, sent_at=timezone.now())

    assert not call.cancel(timezone.now())

    call.refresh_from_db()
    assert call.placement == placement
    assert call.hangup_requested_at is None
