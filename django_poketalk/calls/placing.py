"""Sends queued call requests to the service, each at most once.

Celery only starts work; the database row decides what is done. A request is claimed by changing its
placement from queued to sending, which is committed before the first byte is sent. After that, only
failures to connect are retried. If the answer is not clearly a response code, the request becomes
`unknown` and is never sent again.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import router, transaction
from django.utils import timezone

from ..backends import Answer, Order, Verdict, get_backend, receives_webhooks
from ..conf import service
from ..events import incoming
from ..exceptions import NotConnected
from ..models import CallRequest, Heartbeat, Placement
from ..protocol import numbers
from ..shared.compiled import CompiledQuery
from ..shared.logs import about_call, get_logger
from . import (
    asking,
    call_backs,
    caller_phones,
    caps,
    currencies,
    limits,
    retention,
    services,
    subjects,
    task_publisher,
)

logger = get_logger(__name__)

BACK_OFF = (1, 2, 4, 8, 16)  # seconds before the next attempt to connect; the last one repeats
GRACE = timedelta(seconds=5)  # time for a worker to take a task before the sweep wakes it again
LONGEST_REFERENCE = 100  # characters: what the column can hold
BATCH = 500  # the most rows of each kind that one sweep handles
CALL = CompiledQuery(lambda pk: CallRequest.objects.filter(pk=pk).select_related("user").order_by())


def place(pk: int) -> None:
    """Place a request if it is due and no other process has claimed it. Safe to run any number of
    times, in any process.
    """
    call = next(iter(CALL.instances(pk, using=router.db_for_write(CallRequest))), None)
    if call is not None and call.placement == Placement.QUEUED:
        with about_call(call.pk, "place", call.service):
            _place(call)


def _place(call: CallRequest) -> None:
    now = timezone.now()
    if call.expires_at <= now:
        call.expire(now)
        logger.warning("Call %s expired before it could be placed.", call.pk)
        return
    backend = get_backend(call.service)
    order = order_of(call)
    if not _begin_sending(call, now):
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


def _begin_sending(call: CallRequest, now: datetime) -> bool:
    """Claim the call for this process, if the rules still allow it. The phone of a scheduled call
    must still be its user's, and it takes its place among the caps now, and waits while too many
    others are open.
    """
    subjects.load([call])
    was_scheduled = call.is_scheduled
    call.rings_at = now
    refusal = next(limits.refusals(call), None)
    if refusal is None and not was_scheduled:
        return call.begin_sending(now)
    refusal = refusal or caller_phones.refusal(call)
    with transaction.atomic():
        if refusal is None:
            refusal = next(limits.reached(caps.caps(call, lock=True)), None)
        if refusal is None:
            return call.begin_sending(now)
        if refusal.code in caps.OF_LIVE:
            call.hold_back(str(refusal))
        elif call.forbid(str(refusal)):
            logger.warning("Call %s is not allowed any more: %s.", call.pk, refusal.code)
    return False


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
    """How many calls a sweep woke, expired, marked as unknown, and marked as stale, and how many
    call backs it announced.
    """

    woken: int
    expired: int
    unknown: int
    stale: int
    reminded: int = 0


def sweep(now: datetime | None = None) -> SweepResult:
    """Wake waiting calls whose task was lost, and close calls that expired, whose worker died while
    sending, or for which the service sends no more events and is asked in vain. Announce call backs
    that are due. Delete old verification codes. Last, ask why calls failed, since the service may
    be slow. Run it every few seconds.
    """
    now = now or timezone.now()
    retention.forget_old_codes(now)
    reminded = call_backs.announce_due(now)
    due = CallRequest.objects.due(now - GRACE).values_list("pk", flat=True)[:BATCH]
    for pk in due:
        task_publisher.wake(pk)
    result = SweepResult(
        woken=len(due),
        expired=sum(call.expire(now) for call in CallRequest.objects.past_expiry(now)[:BATCH]),
        unknown=sum(
            call.lose("The worker died while sending the request.")
            for alias, calls in services.partition(CallRequest.objects.all())
            for call in calls.sending_since(now - _longest_sending(alias))[:BATCH]
        ),
        stale=sum(
            call.mark_stale(now)
            for alias, calls in services.partition(CallRequest.objects.all())
            for call in asking.confirm_stale(calls.stale_since(now - _stale_after(alias))[:BATCH])
        ),
        reminded=reminded,
    )
    Heartbeat.beat(Heartbeat.SWEEP, socket.gethostname())
    asking.explain_ended(now)
    currencies.ask()
    return result


def _longest_sending(alias: str) -> timedelta:
    """After this time, a worker that is still sending to the service must have died."""
    rules = service(alias)
    return timedelta(seconds=rules.connect_timeout + rules.read_timeout) + GRACE


def _stale_after(alias: str) -> timedelta:
    """Calls of the service without events for this time are stale. If events are disabled, they
    become stale after their maximum duration.
    """
    rules = service(alias)
    seconds = rules.stale_after
    if not rules.event_base_url and not receives_webhooks(alias):
        seconds += rules.max_duration
    return timedelta(seconds=seconds)


def _try_again(call: CallRequest, why: str) -> None:
    delay = BACK_OFF[min(call.attempts, len(BACK_OFF)) - 1]
    if call.retry(timezone.now() + timedelta(seconds=delay), why):
        logger.warning("Call %s: %s (attempt %s, %s)", call.pk, why, call.attempts, call.placement)
        if call.placement == Placement.QUEUED:
            task_publisher.wake(call.pk, delay)


def _record_answer(call: CallRequest, answer: Answer) -> None:
    now = timezone.now()
    if answer.verdict is Verdict.ACCEPTED:
        recorded = call.accept(now, answer.detail, _storable(answer.reference))
    elif answer.verdict is Verdict.REJECTED:
        code = answer.code.value if answer.code else ""
        recorded = call.reject(now, code, answer.detail, answer.cause)
    else:
        recorded = call.lose(answer.detail)
    if answer.verdict is not Verdict.ACCEPTED:
        # The answer may contain a phone number, so it is only stored in the row.
        why = f"{answer.code} {answer.code.meaning}" if answer.code else "Its row has the answer."
        logger.warning("Call %s is %s. %s", call.pk, answer.verdict.value, why)
    if not recorded:
        logger.warning("Call %s already had an outcome when the service answered.", call.pk)


def _storable(reference: str) -> str:
    """The service's id of the call, or "" if the column cannot hold it."""
    is_short = len(reference) <= LONGEST_REFERENCE
    return reference if is_short and reference.isprintable() else ""
