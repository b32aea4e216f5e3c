"""Sends queued call requests to the service, each at most once.

Celery only starts work; the database row decides what is done. A request is claimed by changing its
placement from queued to sending, which is committed before the first byte is sent. After that, only
failures to connect are retried. If the answer is not clearly a response code, the request becomes
`unknown` and is never sent again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from ..backends import Answer, Order, Verdict, get_backend
from ..conf import settings
from ..events import incoming
from ..exceptions import NotConnected
from ..models import CallRequest, Placement
from ..protocol import numbers
from . import task_publisher

logger = logging.getLogger(__name__)

BACK_OFF = (1, 2, 4, 8, 16)  # seconds before the next attempt to connect; the last one repeats
GRACE = timedelta(seconds=5)  # time for a worker to take a task before the sweep wakes it again
BATCH = 500  # the most rows of each kind that one sweep handles


def place(pk: int) -> None:
    """Place a request if it is due and no other process has claimed it. Safe to run any number of
    times, in any process.
    """
    call = CallRequest.objects.filter(pk=pk).first()
    if call is None or call.placement != Placement.QUEUED:
        return
    now = timezone.now()
    if call.expires_at <= now:
        call.expire(now)
        logger.warning("Call %s expired before it could be placed.", call.pk)
        return
    backend = get_backend()
    order = order_of(call)
    if not call.begin_sending(now):
        return
    try:
        answer = backend.place(order)
    except NotConnected as error:
        _try_again(call, str(error))
    except Exception as error:
        logger.exception("Call %s: the backend failed, so the outcome is unknown.", call.pk)
        call.lose(f"{type(error).__name__}: {error}")
    else:
        _record_answer(call, answer)


def order_of(call: CallRequest) -> Order:
    """The order for this call. Raises `ImproperlyConfigured` if its EventURL is too long."""
    return Order(
        from_number=numbers.wire(call.from_number),
        to_number=numbers.wire(call.to_number),
        webcallid=call.webcallid,
        event_url=incoming.event_url(call),
        to_extension=call.to_extension,
        caller_id=numbers.wire(call.presented_number),
    )


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many calls a sweep woke, expired, marked as unknown, and marked as stale."""

    woken: int
    expired: int
    unknown: int
    stale: int


def sweep(now: datetime | None = None) -> SweepResult:
    """Wake waiting calls whose task was lost, and close calls that expired, whose worker died while
    sending, or for which the service sends no more events. Run it every few seconds.
    """
    now = now or timezone.now()
    due = CallRequest.objects.due(now - GRACE).values_list("pk", flat=True)[:BATCH]
    for pk in due:
        task_publisher.wake(pk)
    lost_since = now - timedelta(seconds=settings.connect_timeout + settings.read_timeout) - GRACE
    return SweepResult(
        woken=len(due),
        expired=sum(call.expire(now) for call in CallRequest.objects.past_expiry(now)[:BATCH]),
        unknown=sum(
            call.lose("The worker died while sending the request.")
            for call in CallRequest.objects.sending_since(lost_since)[:BATCH]
        ),
        stale=sum(
            call.mark_stale(now)
            for call in CallRequest.objects.stale_since(_stale_limit(now))[:BATCH]
        ),
    )


def _stale_limit(now: datetime) -> datetime:
    """Calls without events since this time are stale. If events are disabled, they become stale
    after their maximum duration.
    """
    seconds = settings.stale_after
    if not settings.event_base_url:
        seconds += settings.max_duration
    return now - timedelta(seconds=seconds)


def _try_again(call: CallRequest, why: str) -> None:
    delay = BACK_OFF[min(call.attempts, len(BACK_OFF)) - 1]
    if call.retry(timezone.now() + timedelta(seconds=delay), why):
        logger.warning("Call %s: %s (attempt %s, %s)", call.pk, why, call.attempts, call.placement)
        if call.placement == Placement.QUEUED:
            task_publisher.wake(call.pk, delay)


def _record_answer(call: CallRequest, answer: Answer) -> None:
    now = timezone.now()
    if answer.verdict is Verdict.ACCEPTED:
        recorded = call.accept(now, answer.detail)
    elif answer.verdict is Verdict.REJECTED:
        recorded = call.reject(now, answer.code, answer.detail)
    else:
        recorded = call.lose(answer.detail)
    if answer.verdict is not Verdict.ACCEPTED:
        # The answer may contain a phone number, so it is only stored in the row.
        why = f"{answer.code} {answer.code.meaning}" if answer.code else "Its row has the answer."
        logger.warning("Call %s is %s. %s", call.pk, answer.verdict.value, why)
    if not recorded:
        logger.warning("Call %s already had an outcome when the service answered.", call.pk)
