"""Celery tasks. They only start work; the database row decides what is done (see `placing`)."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from .calls import asking, placing, retention, task_publisher
from .models import Heartbeat
from .reports import totals


@shared_task(name=task_publisher.PLACE_CALL, ignore_result=True)
def place_call(pk: int) -> None:
    """Place the call request with this primary key, unless it has already been placed."""
    placing.place(pk)


@shared_task(name=task_publisher.HANG_UP_CALL, ignore_result=True)
def hang_up_call(pk: int) -> None:
    """Ask the service to end the call with this primary key, if that is still wanted."""
    asking.hang_up(pk)


@shared_task(name="poketalk.sweep", ignore_result=True)
def sweep() -> None:
    """Wake waiting calls, and close expired, lost and stale ones."""
    placing.sweep()


@shared_task(name="poketalk.forget_old_numbers", ignore_result=True)
def forget_old_numbers() -> None:
    """Forget the numbers of calls older than `FORGET_NUMBERS_AFTER` days."""
    retention.forget_old_numbers()


@shared_task(name=task_publisher.REPORT, bind=True, ignore_result=True)
def report(self: Any, token: str) -> None:
    """Record that a worker ran this task, for `poketalk_doctor`, which asks with this token."""
    Heartbeat.beat(Heartbeat.WORKER, self.request.hostname or "", token)


@shared_task(name="poketalk.count_calls", ignore_result=True)
def count_calls() -> None:
    """Count the calls of past days for the reports, for at most a minute."""
    totals.count_days()
