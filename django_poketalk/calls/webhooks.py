"""Records the events of webhooks, which a service's backend parses, like those of an EventURL."""

from __future__ import annotations

from ..backends import WebhookEvent
from ..events import incoming, tokens
from ..models import CallRequest
from ..models.indexes import HAS_REFERENCE
from ..protocol.eventurl import Event
from .caps import MILLIONTH


def receive(alias: str, reported: WebhookEvent, remote_address: str) -> tuple[int, incoming.Reply]:
    """Record what this service reported. Returns the call's primary key, or 0 if there is no such
    call, and whether it may continue. Raises `django.db.Error` if the database fails.
    """
    calls = CallRequest.objects.filter(service=alias)
    if reported.webcallid:
        calls = calls.filter(webcallid=reported.webcallid)
    else:
        calls = calls.filter(HAS_REFERENCE, reference=reported.reference)
    call = calls.first()
    if call is None:
        return 0, incoming.Reply(incoming.GO_ON, incoming.NO_SUCH_CALL)
    limits = tokens.Limits(call.pk, call.max_duration, call.max_cost)
    cost = None if reported.cost is None else reported.cost.quantize(MILLIONTH)
    event = Event(reported.status, call.webcallid, reported.duration, cost)
    return call.pk, incoming.receive(limits, event, remote_address)
