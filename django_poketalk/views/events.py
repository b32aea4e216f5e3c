"""The event view: receives an event and answers whether the call may continue."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from ..conf import settings
from ..events import incoming, tokens
from ..protocol import eventurl
from ..protocol.codes import HTTP_HANG_UP
from ..shared.client_address import client_address
from ..shared.deadline import Deadline, Overdue
from ..shared.logs import about_call, get_logger

logger = get_logger(__name__)

WAIT = 0.9  # seconds to wait for the database, so that the answer is sent within one second
# If all threads hang, events do not wait: the web server needs its own threads.
# A service sends the events of a call one at a time: more at once are a flood, or wait for its row.
RECORDING = Deadline("poketalk-events", threads=16, share=2)


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def event(request: HttpRequest, token: str) -> HttpResponse:
    """Record an event and answer it.

    200: the call may continue. 412: end it. 404: the URL is not ours. 400: not an event. 503: the
    database does not respond, and the call is within its signed limits. Beyond them, the answer is
    412 even then.
    """
    if request.method != "GET":
        return _answer(405, headers={"Allow": "GET"})
    limits = tokens.read(token)
    if limits is None:
        return _answer(404)
    with about_call(limits.pk, "event"):
        return _receive(request, limits)


def _receive(request: HttpRequest, limits: tokens.Limits) -> HttpResponse:
    try:
        received = eventurl.parse(request.META.get("QUERY_STRING", ""))
    except eventurl.InvalidEvent as error:
        logger.warning("Call %s: not an event: %s", limits.pk, error)
        return _answer(400)
    address = client_address(request.META, settings.trusted_proxies)
    try:
        reply = RECORDING.within_share(limits.pk, WAIT, incoming.receive, limits, received, address)
    except (Overdue, DatabaseError) as error:
        logger.error(
            "Call %s: status %s could not be recorded: %r", limits.pk, received.status.value, error
        )
        reply = incoming.reply_without_database(limits, received)
    if reply.status == HTTP_HANG_UP:
        logger.info("Ending call %s: %s.", limits.pk, reply.reason)
    return _answer(reply.status)


def _answer(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """An empty response. Django must not log its URL, which contains the token."""
    response = HttpResponse(status=status, content_type="text/plain", headers=headers)
    # Private API of Django; tests/house/test_private_api.py fails if it changes.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
