"""Celery tasks. They only start work; the database row decides what is done (see `placing`)."""

from __future__ import annotations

from celery import shared_task

from .calls import placing, retention, task_publisher


@shared_task(name=task_publisher.PLACE_CALL, ignore_result=True)
def place_call(pk: int) -> None:
    """Place the call request with this primary key, unless it has already been placed."""
    placing.place(pk)


@shared_task(name="poketalk.sweep", ignore_result=True)
def sweep() -> None:
    """Wake waiting calls, and close expired, lost and stale ones."""
    placing.sweep()


@shared_task(name="poketalk.forget_old_numbers", ignore_result=True)
def forget_old_numbers() -> None:
    """Forget the numbers of calls older than `FORGET_NUMBERS_AFTER` days."""
    retention.forget_old_numbers()
