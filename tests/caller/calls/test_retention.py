"""The numbers of old calls are erased."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_poketalk.calls import placing, requesting, retention
from django_poketalk.models import CallRequest, VerificationCode

from ..conftest import CALLEE, CALLER
from ..people import someone
from .test_placing import Change, NewCall

NEXT_MONTH = timezone.now() + timedelta(days=31)


def test_old_numbers_are_erased_and_the_call_is_kept(call: CallRequest, poketalk: Change) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    requesting.cancel(call)

    assert retention.forget_old_numbers(NEXT_MONTH) == 1
    assert retention.forget_old_numbers(NEXT_MONTH) == 0

    call.refresh_from_db()
    assert (call.from_number, call.to_number) == ("", "")
    assert str(call)


@pytest.mark.parametrize("days", [None, 32])
def test_recent_numbers_are_kept(call: CallRequest, poketalk: Change, days: int | None) -> None:
    poketalk(FORGET_NUMBERS_AFTER=days)
    requesting.cancel(call)

    assert retention.forget_old_numbers(NEXT_MONTH) == 0
    assert CallRequest.objects.get(pk=call.pk).to_number == CALLEE


def test_an_open_call_keeps_its_numbers(new_call: NewCall, poketalk: Change) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    call = new_call(not_before=NEXT_MONTH)

    assert retention.forget_old_numbers(NEXT_MONTH) == 0
    assert CallRequest.objects.get(pk=call.pk).from_number == CALLER


def test_the_command_sweeps_and_erases_numbers(call: CallRequest, poketalk: Change) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    CallRequest.objects.filter(pk=call.pk).update(
        created_at=timezone.now() - timedelta(days=31),
        expires_at=timezone.now() - timedelta(days=30),
    )
    out = StringIO()

    call_command("poketalk_sweep", stdout=out)
    call_command("poketalk_sweep", forget=True, stdout=out)

    assert "expired 1" in out.getvalue()
    assert "erased the numbers of 1 calls" in out.getvalue()


@pytest.mark.django_db
def test_the_sweep_deletes_codes_that_no_longer_count() -> None:
    now = timezone.now()
    user = someone("anna")
    for minutes in (59, 60, 61):
        at = now - timedelta(minutes=minutes)
        VerificationCode.objects.create(user=user, number=CALLER, created_at=at)

    placing.sweep(now)

    kept = VerificationCode.objects.get()
    assert kept.created_at == now - timedelta(minutes=59)
