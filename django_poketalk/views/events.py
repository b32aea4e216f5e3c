"""The event view: the service reports on a call, and we answer whether it may go on (seed,
EventURL).
"""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from ..conf import settings
from ..events import deadline, incoming, tokens
from ..protocol import eventurl
from ..protocol.codes import HTTP_HANG_UP
from ..shared.client_address import client_address

logger = logging.getLogger(__name__)

WAIT = 0.9  # seconds that the database may take, so that an answer leaves within one


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def event(request: HttpRequest, token: str) -> HttpResponse:
    """Record one event and answer it.

    200: the call goes on. 412: end it. 404: not a URL of ours. 400: not an event. 503: the database
    does not answer and the call is within its signed limits; past them it is 412 even then.
    """
    if request.method != "GET":
        return _answer(405, headers={"Allow": "GET"})
    limits = tokens.read(token)
    if limits is None:
        return _answer(404)
    try:
        told = eventurl.parse(request.META.get("QUERY_STRING", ""))
    except eventurl.InvalidEvent as error:
        logger.warning("Call %s: not an event: %s", limits.pk, error)
        return _answer(400)
    address = client_address(request.META, settings.trusted_proxies)
    try:
        reply = deadline.within(WAIT, incoming.receive, limits, told, address)
    except (deadline.Overdue, DatabaseError) as error:
        logger.error(
            "Call %s: the database did not take status %s: %r", limits.pk, told.status.value, error
        )
        reply = incoming.reply_without_database(limits, told)
    if reply.status == HTTP_HANG_UP:
        logger.info("Call %s is ended: %s.", limits.pk, reply.reason)
    return _answer(reply.status)


def _answer(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """A bare answer that Django does not log: its line would hold the token."""
    response = HttpResponse(status=status, content_type="text/plain", headers=headers)
    # Private API of Django; tests/house/test_private_api.py fails if it changes.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
