"""Events: the EventURL of each call, and how each event is recorded and answered.

Events can arrive in any order and more than once, and the row still ends in the same state: status
(by `CallStatus.rank`), duration and cost only grow, and a final status does not change. Only
`recording.record` writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.dispatch import Signal
from django.urls import reverse
from django.utils import timezone

from .. import signals
from ..conf import service
from ..models import CallEvent, CallRequest
from ..protocol import eventurl
from ..protocol.codes import HTTP_HANG_UP
from ..protocol.eventurl import Event
from ..shared import deadline
from . import recording, tokens, vetoes

GO_ON = 200
UNAVAILABLE = 503
NO_SUCH_CALL = "no such call, or it ended long ago"
REPORTED_AS_ENDED = "an earlier event reported the end"
TOO_LATE = "recorded too late for the answer"


@dataclass(frozen=True, slots=True)
class Reply:
    """The HTTP status that answers an event, and the reason."""

    status: int
    reason: str = ""


def event_url(call: CallRequest) -> str:
    """The EventURL template of a call, or "" without `EVENT_BASE_URL`, which disables events.

    Raises `ImproperlyConfigured` if it is longer than the 255 characters that the protocol allows.
    """
    base_url = service(call.service).event_base_url
    if not base_url:
        return ""
    token = tokens.make(tokens.Limits(call.pk, call.max_duration, call.max_cost))
    url = eventurl.template(base_url.rstrip("/") + reverse("poketalk:event", args=[token]))
    if len(url) > eventurl.MAX_LENGTH:
        raise ImproperlyConfigured(
            f"The event URL has {len(url)} characters, and {eventurl.MAX_LENGTH} is the limit:"
            " shorten the EVENT_BASE_URL, or the path of django_poketalk.urls."
        )
    return url


def hidden_event_url(url: str) -> str:
    """One of our EventURLs for display, without its signature."""
    token = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return url.replace(token, tokens.hidden(token)) if token else url


def receive(limits: tokens.Limits, event: Event, remote_address: str) -> Reply:
    """Record an event and decide whether the call may continue. Raises `django.db.Error` if the
    database fails.

    If this takes too long, the view has already sent `reply_without_database`. The event is then
    logged with that answer.
    """
    pk = limits.pk
    row = recording.record(pk, event, remote_address, timezone.now())
    if row is None:
        return Reply(GO_ON if event.status.is_final else HTTP_HANG_UP, NO_SUCH_CALL)
    if row.status_changed:
        _announce(signals.status_changed, pk, event=event)
        if event.status.is_final:
            _announce(signals.call_ended, pk)
    if deadline.is_over():
        return _too_late(row.event_pk, limits, event)
    if event.status.is_final:
        return Reply(GO_ON)
    if row.is_over:  # if that was not true, it must not let the call go on without limits
        CallEvent.objects.filter(pk=row.event_pk).update(
            answer=HTTP_HANG_UP, reason=REPORTED_AS_ENDED
        )
        return Reply(HTTP_HANG_UP, REPORTED_AS_ENDED)
    reason = vetoes.reason(row.facts) or vetoes.reason_of_rules(pk, event)
    if reason:
        _write_veto(pk, row.event_pk, reason)
    if deadline.is_over():  # a rule was too slow; its decision answers the next event
        return _too_late(row.event_pk, limits, event)
    return Reply(HTTP_HANG_UP, reason) if reason else Reply(GO_ON)


def reply_without_database(limits: tokens.Limits, event: Event) -> Reply:
    """The answer that only depends on the signed limits: 412 if they are exceeded, else 503."""
    facts = vetoes.Facts(
        event.duration or 0, event.cost or recording.ZERO, limits.max_duration, limits.max_cost
    )
    reason = "" if event.status.is_final else vetoes.reason(facts)
    return Reply(HTTP_HANG_UP, reason) if reason else Reply(UNAVAILABLE)


def _too_late(event_pk: int, limits: tokens.Limits, event: Event) -> Reply:
    """Log and return the answer that the view has already sent."""
    given = reply_without_database(limits, event)
    answer = {"answer": given.status, "reason": given.reason or TOO_LATE}
    CallEvent.objects.filter(pk=event_pk).update(**answer)
    return given


def _write_veto(pk: int, event_pk: int, reason: str) -> None:
    with transaction.atomic():
        CallEvent.objects.filter(pk=event_pk).update(answer=HTTP_HANG_UP, reason=reason)
        if CallRequest.objects.filter(pk=pk, veto_reason="").update(veto_reason=reason):
            _announce(signals.call_vetoed, pk, reason=reason)


def _announce(signal: Signal, pk: int, **facts: object) -> None:
    """Send the signal for call `pk`. The row is only read if the signal has receivers."""
    if signal.has_listeners(CallRequest):
        call = CallRequest.objects.get(pk=pk)
        signals.announce(signal, CallRequest, call=call, **facts)
