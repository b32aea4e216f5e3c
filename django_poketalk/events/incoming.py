"""What the service tells of a call: the URL it tells it to, and what each event does to the row.

Whatever order the events of a call come in, however often, the row ends the same: status, duration
and cost only grow (`CallStatus.rank`), and a final status stays. `record` is the only code that
writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.dispatch import Signal
from django.urls import reverse
from django.utils import timezone

from .. import signals
from ..conf import settings
from ..models import CallEvent, CallRequest
from ..protocol import eventurl
from ..protocol.codes import HTTP_HANG_UP
from ..protocol.eventurl import Event
from . import deadline, recording, tokens, vetoes

GO_ON = 200
UNAVAILABLE = 503
NO_SUCH_CALL = "no such call"
TOO_LATE = "recorded too late for the answer"


@dataclass(frozen=True, slots=True)
class Reply:
    """The HTTP status that an event is answered with, and why."""

    status: int
    reason: str = ""


def event_url(call: CallRequest) -> str:
    """The EventURL template of a call, or "" when `EVENT_BASE_URL` is not set and no events are
    wanted.

    Raises `ImproperlyConfigured` when it is longer than the 255 characters that the protocol
    allows.
    """
    if not settings.event_base_url:
        return ""
    token = tokens.make(tokens.Limits(call.pk, call.max_duration, call.max_cost))
    url = eventurl.template(
        settings.event_base_url.rstrip("/") + reverse("poketalk:event", args=[token])
    )
    if len(url) > eventurl.MAX_LENGTH:
        raise ImproperlyConfigured(
            f"The event URL has {len(url)} characters, and {eventurl.MAX_LENGTH} is the limit:"
            " shorten POKETALK['EVENT_BASE_URL'], or the path of django_poketalk.urls."
        )
    return url


def hidden_event_url(url: str) -> str:
    """An EventURL of ours as people may read it: without its signature."""
    token = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return url.replace(token, tokens.hidden(token)) if token else url


def receive(limits: tokens.Limits, event: Event, remote_address: str) -> Reply:
    """Record an event of a call and decide whether the call goes on. Raises `django.db.Error` when
    it cannot. What is recorded too late for the answer is logged with the answer that was given.
    """
    pk = limits.pk
    row = recording.record(pk, event, remote_address, timezone.now())
    if row is None:
        return Reply(GO_ON if event.status.is_final else HTTP_HANG_UP, NO_SUCH_CALL)
    if row.status_changed:
        _announce(signals.status_changed, pk, event=event)
    if deadline.is_over():
        return _too_late(row.event_pk, limits, event)
    if row.is_over:
        return Reply(GO_ON)
    reason = vetoes.reason(row.facts) or vetoes.reason_of_rules(pk, event)
    if reason:
        _write_veto(pk, row.event_pk, reason)
    if deadline.is_over():  # what a slow rule has decided answers the next event
        return _too_late(row.event_pk, limits, event)
    return Reply(HTTP_HANG_UP, reason) if reason else Reply(GO_ON)


def reply_without_database(limits: tokens.Limits, event: Event) -> Reply:
    """The 412 that the signed limits alone demand, else 503: nothing can be said."""
    facts = vetoes.Facts(
        event.duration or 0, event.cost or recording.ZERO, limits.max_duration, limits.max_cost
    )
    reason = "" if event.status.is_final else vetoes.reason(facts)
    return Reply(HTTP_HANG_UP, reason) if reason else Reply(UNAVAILABLE)


def _too_late(event_pk: int, limits: tokens.Limits, event: Event) -> Reply:
    """The answer that was given meanwhile, and log it."""
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
    """Announce a change of call `pk`; the row is read only for somebody who listens."""
    if signal.has_listeners(CallRequest):
        call = CallRequest.objects.get(pk=pk)
        signals.announce(signal, CallRequest, call=call, **facts)
