"""Requesting calls: the stored row, the waking of the worker, and hanging up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone

from django_poketalk.calls import placing, requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest, Placement

from ..conftest import CALLEE, CALLER

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]


def test_a_request_is_queued_with_the_limits_of_the_settings(
    new_call: NewCall, poketalk: Change
) -> None:
    poketalk(MAX_DURATION=600, MAX_COST=Decimal("1.5"), PLACE_WITHIN=90)

    call = CallRequest.objects.get(pk=new_call().pk)

    assert (call.from_number, call.to_number) == (CALLER, CALLEE)
    assert call.placement == Placement.QUEUED
    assert call.status is None
    assert (call.max_duration, call.max_cost) == (600, Decimal("1.5"))
    assert call.expires_at - call.not_before == timedelta(seconds=90)
    assert len(call.webcallid) == 32


def test_each_request_has_its_own_call_id(new_call: NewCall) -> None:
    assert len({new_call().webcallid for _ in range(20)}) == 20


@pytest.mark.parametrize("written", ["+44 20 7946 0123", "442079460123", "+44 (0)20 7946-0123"])
def test_numbers_can_have_any_format(new_call: NewCall, written: str) -> None:
    assert new_call(to_number=written).to_number == "+442079460123"


def test_national_numbers_are_in_the_default_region(new_call: NewCall, poketalk: Change) -> None:
    poketalk(DEFAULT_REGION="GB")

    assert new_call(to_number="020 7946 0123").to_number == "+442079460123"


@pytest.mark.parametrize("number", ["abc", "12", "+442079460123456789", "020 7946 0123"])
def test_an_invalid_number_is_refused_and_named(new_call: NewCall, number: str) -> None:
    with pytest.raises(CallRefused) as refusal:
        new_call(to_number=number)

    assert (refusal.value.code, refusal.value.field) == ("number_invalid", "to_number")
    assert f"“{number}”" in str(refusal.value)


def test_the_same_number_for_both_phones_is_refused(new_call: NewCall) -> None:
    with pytest.raises(CallRefused, match="same number"):
        new_call(to_number=CALLER)


def test_a_limit_can_be_lowered_but_not_raised(new_call: NewCall, poketalk: Change) -> None:
    poketalk(MAX_DURATION=600, MAX_COST=Decimal(2))

    lower = new_call(max_duration=60, max_cost=Decimal(1))
    higher = new_call(max_duration=6000, max_cost=Decimal(3))

    assert (lower.max_duration, lower.max_cost) == (60, Decimal(1))
    assert (higher.max_duration, higher.max_cost) == (600, Decimal(2))


def test_a_call_that_would_expire_before_it_starts_is_refused(new_call: NewCall) -> None:
    now, tomorrow = timezone.now(), timezone.now() + timedelta(days=1)

    for starts, ends in ((None, now - timedelta(seconds=1)), (tomorrow, tomorrow)):
        with pytest.raises(CallRefused) as refusal:
            new_call(not_before=starts, expires_at=ends)
        assert refusal.value.code == "expired"


def test_the_subject_is_stored(new_call: NewCall, user: Any) -> None:
    call = new_call(subject=user, user=user)

    assert CallRequest.objects.get(pk=call.pk).subject == user
    assert call.subject_type == ContentType.objects.get_for_model(user)


@pytest.mark.django_db(transaction=True)
def test_the_worker_is_woken_on_commit(new_call: NewCall, woken: list[tuple[int, float]]) -> None:
    with transaction.atomic():
        call = new_call()
        assert woken == []

    assert woken == [(call.pk, 0)]


@pytest.mark.django_db(transaction=True)
def test_no_worker_is_woken_after_a_rollback(
    new_call: NewCall, woken: list[tuple[int, float]]
) -> None:
    def fail() -> None:
        with transaction.atomic():
            new_call()
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert woken == []
    assert not CallRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_scheduled_call_is_left_to_the_sweep(
    new_call: NewCall, woken: list[tuple[int, float]]
) -> None:
    call = new_call(not_before=timezone.now() + timedelta(minutes=5))
    assert woken == []

    placing.sweep(timezone.now() + timedelta(minutes=5, seconds=6))

    assert woken == [(call.pk, 0)]


class TestHangUp:
    def test_a_waiting_call_is_canceled(self, call: CallRequest, user: Any) -> None:
        assert requesting.hang_up(call, user)

        call.refresh_from_db()
        assert call.placement == Placement.CANCELLED
        assert call.hangup_requested_by == user
        assert not call.is_open

    def test_a_sent_call_is_hung_up(self, call: CallRequest, user: Any) -> None:
        call.begin_sending(timezone.now())
        call.accept(timezone.now(), "00")

        assert requesting.hang_up(call, user)

        call.refresh_from_db()
        assert call.placement == Placement.ACCEPTED
        assert call.hangup_requested_at is not None

    def test_a_second_hang_up_changes_nothing(self, call: CallRequest, user: Any) -> None:
        call.begin_sending(timezone.now())
        requesting.hang_up(call, user)
        requested = CallRequest.objects.get(pk=call.pk).hangup_requested_at

        assert not requesting.hang_up(call)

        assert CallRequest.objects.get(pk=call.pk).hangup_requested_at == requested

    def test_an_ended_call_cannot_be_hung_up(self, call: CallRequest) -> None:
        CallRequest.objects.filter(pk=call.pk).update(
            placement=Placement.ACCEPTED, ended_at=timezone.now()
        )

        assert not requesting.hang_up(call)
