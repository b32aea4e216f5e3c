"""Celery's side: each scheduled name is a task, and each task does its work on the row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk import tasks, wakeups
from django_poketalk.models import CallRequest, Placement
from django_poketalk.schedule import BEAT_SCHEDULE
from tests.celery import app

from .test_placing import Change


@pytest.mark.parametrize("entry", BEAT_SCHEDULE.values(), ids=list(BEAT_SCHEDULE))
def test_what_is_scheduled_is_a_task(entry: dict[str, Any]) -> None:
    assert entry["task"] in app.tasks
    assert entry["schedule"] > 0


def test_the_wake_up_names_the_placing_task() -> None:
    assert tasks.place_call.name == wakeups.PLACE_CALL


def test_a_task_places_its_call(call: CallRequest) -> None:
    tasks.place_call(call.pk)

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED


def test_the_sweep_expires_what_is_too_late(call: CallRequest) -> None:
    CallRequest.objects.filter(pk=call.pk).update(expires_at=timezone.now())

    tasks.sweep()

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.EXPIRED


def test_old_numbers_are_forgotten(call: CallRequest, poketalk: Change) -> None:
    poketalk(FORGET_NUMBERS_AFTER=1)
    CallRequest.objects.filter(pk=call.pk).update(
        created_at=timezone.now() - timedelta(days=2), placement=Placement.CANCELLED
    )

    tasks.forget_old_numbers()

    assert CallRequest.objects.get(pk=call.pk).to_number == ""
