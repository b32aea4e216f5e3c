"""Asks the service about calls, and to end them, if the backend can (`can_ask`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..backends import ServiceCall, can_ask, get_backend
from ..events import incoming, tokens
from ..models import CallRequest, Placement
from ..protocol.codes import HTTP_HANG_UP, CallStatus
from ..protocol.eventurl import Event
from ..shared.logs import about_call, get_logger
from . import services, task_publisher

logger = get_logger(__name__)

AGAIN = 0.5  # seconds until the service is asked again to end a call that is still being requested
EXPLAIN = timedelta(minutes=10)  # after a call's phones rang or it ended, its cause is asked for
LONGEST = timedelta(days=1)  # of a call; finds those that ended by the index of `rings_at`
FAILED = (CallStatus.A_FAILED, CallStatus.B_FAILED)
DISCONNECTED = (CallStatus.A_DISCONNECTED, CallStatus.AB_DISCONNECTED)
CAUSE_LENGTH = 40  # what the column can hold
BATCH = 20  # the most calls that one sweep asks about, of each kind


def hang_up(pk: int) -> None:
    """Ask the service to end this call, if that was requested or a rule ended it, and it is open.
    If the service fails, the answer to the call's next event ends it.
    """
    to_end = CallRequest.objects.open().exclude(hangup_requested_at=None, veto_reason="")
    call = to_end.filter(pk=pk).first()
    if call is None:
        return
    try:
        is_known = get_backend(call.service).hang_up(call.webcallid, call.reference)
    except Exception as error:
        with about_call(pk, "hang_up", call.service):
            logger.warning("Call %s: the service was asked in vain to end it: %s", pk, error)
        return
    if not is_known and call.placement == Placement.SENDING:
        task_publisher.hang_up(pk, AGAIN)


def explain(call: CallRequest) -> bool:
    """Ask why a call ended, and record it. False if the service cannot be asked, or did
    not answer clearly. Waits for a few seconds at most.
    """
    if not can_ask(call.service):
        return False
    try:
        served = get_backend(call.service).look_up(call.webcallid, call.reference)
    except Exception as error:
        with about_call(call.pk, "explain", call.service):
            logger.warning("Call %s: the service does not say its cause: %s", call.pk, error)
        return False
    if served is not None and served.is_over:
        call.hangup_cause = served.cause[:CAUSE_LENGTH]
        CallRequest.objects.filter(pk=call.pk).update(hangup_cause=call.hangup_cause)
    return True


def explain_ended(now: datetime) -> None:
    """Ask each service for the causes of its latest calls that ended, until it fails: first of
    those that failed, then who hung up.
    """
    recent = CallRequest.objects.filter(hangup_cause="")
    failed = recent.filter(status__in=FAILED, rings_at__gt=now - EXPLAIN)
    hung_up = recent.filter(
        status__in=DISCONNECTED,
        ended_at__gt=now - EXPLAIN,
        rings_at__gt=now - EXPLAIN - LONGEST,
    )
    for service, calls in (*services.partition(failed), *services.partition(hung_up)):
        if can_ask(service):
            for call in calls[:BATCH]:
                if can_ask(call.service) and not explain(call):
                    break


def confirm_stale(calls: Iterable[CallRequest]) -> list[CallRequest]:
    """Of one service's calls without events, those that are stale: the service does not know them
    either, or cannot be asked. What it says about the others is recorded like an event.
    """
    unknown: list[CallRequest] = []
    to_ask: list[CallRequest] = []
    for call in calls:
        (to_ask if can_ask(call.service) else unknown).append(call)
    for place, call in enumerate(to_ask[:BATCH]):
        try:
            served = get_backend(call.service).look_up(call.webcallid, call.reference)
        except Exception as error:
            with about_call(call.pk, "look_up", call.service):
                logger.warning("Call %s: the service was asked in vain: %s", call.pk, error)
            return unknown + to_ask[place:]
        if served is None:
            unknown.append(call)
        elif served.status is not None:
            _record(call, served.status, served)
    return unknown


def _record(call: CallRequest, status: CallStatus, served: ServiceCall) -> None:
    limits = tokens.Limits(call.pk, call.max_duration, call.max_cost)
    event = Event(status, call.webcallid, served.duration, served.cost)
    if incoming.receive(limits, event, "").status == HTTP_HANG_UP:
        get_backend(call.service).hang_up(call.webcallid, call.reference)
