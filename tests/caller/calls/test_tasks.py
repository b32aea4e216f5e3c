"""The Celery tasks, their schedule, and the command that replaces Celery beat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from django_poketalk import tasks
from django_poketalk.calls import placing, task_publisher
from django_poketalk.calls.schedule import BEAT_SCHEDULE
from django_poketalk.models import CallRequest, Placement
from tests.celery import app

from .test_placing import Change


@pytest.mark.parametrize("entry", BEAT_SCHEDULE.values(), ids=list(BEAT_SCHEDULE))
def test_each_scheduled_name_is_a_task(entry: dict[str, Any]) -> None:
    assert entry["task"] in app.tasks
    assert entry["schedule"] > 0


def test_the_publisher_uses_the_name_of_the_placing_task() -> None:
    assert tasks.place_call.name == task_publisher.PLACE_CALL


def test_a_task_places_its_call(call: CallRequest) -> None:
    tasks.place_call(call.pk)

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED


def test_the_sweep_expires_overdue_calls(call: CallRequest) -> None:
    CallRequest.objects.filter(pk=call.pk).update(expires_at=timezone.now())

    tasks.sweep()

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.EXPIRED


def test_old_numbers_are_erased(call: CallRequest, poketalk: Change) -> None:
    poketalk(FORGET_NUMBERS_AFTER=1)
    CallRequest.objects.filter(pk=call.pk).update(
        created_at=timezone.now() - timedelta(days=2), placement=Placement.CANCELLED
    )

    tasks.forget_old_numbers()

    assert CallRequest.objects.get(pk=call.pk).to_number == ""


@pytest.mark.django_db
@pytest.mark.parametrize("broken", [OperationalError("gone"), InterfaceError("closed")])
def test_the_command_survives_a_restart_of_the_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: Exception
) -> None:
    swept = mock.Mock(side_effect=[broken, placing.SweepResult(1, 0, 0, 0)])
    waited = mock.Mock(side_effect=[None, KeyboardInterrupt])
    monkeypatch.setattr(placing, "sweep", swept)
    monkeypatch.setattr("time.sleep", waited)

    call_command("poketalk_sweep", every=7.0)

    data = capsys.readouterr()
    assert "did not answer" in data.err
    assert "woken 1" in data.out
    assert waited.call_args_list == [mock.call(7.0)] * 2


@pytest.mark.parametrize("every", [0, -1, float("nan")])
def test_the_command_names_an_invalid_interval(every: float) -> None:
    with pytest.raises(CommandError, match="--every"):
        call_command("poketalk_sweep", every=every)
