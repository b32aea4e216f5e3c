"""The webhook view: receives a service's report in the form of its own, which the backend reads."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from ..backends import WebhookEvent, get_backend
from ..calls import task_publisher, webhooks
from ..conf import settings
from ..exceptions import InvalidSignature
from ..protocol.codes import HTTP_HANG_UP
from ..shared.client_address import client_address
from ..shared.deadline import Overdue
from ..shared.logs import get_logger
from .events import RECORDING, WAIT

MAX_BODY = 64 * 1024  # bytes; a report has about one KiB
MAX_NUMBER = 10**9  # of seconds, or of the currency: more is no report of a call

logger = get_logger(__name__)


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def webhook(request: HttpRequest, alias: str) -> HttpResponse:
    """Record a service's report. If it must end the call, ask the service to.

    200: recorded, or nothing to record. 403: the signature is wrong. 400: it cannot be read. 404:
    there is no such service, or no such call yet. 503: the database does not respond. The service
    should send it again in the last two cases.
    """
    if request.method != "POST":
        return _answer(405, Allow="POST")
    try:
        backend = get_backend(alias)
    except ImproperlyConfigured:
        return _answer(404)
    if not backend.receives_webhooks:
        return _answer(404)
    try:
        if len(request.body) > MAX_BODY:
            return _answer(413)
        reported = backend.parse_event(request)
        if reported is not None and not _is_possible(reported):
            raise ValueError("a figure is out of range")
    except RequestDataTooBig:
        return _answer(413)
    except InvalidSignature as error:
        logger.warning("A webhook of the service %s is refused: %s", alias, error)
        return _answer(403)
    except Exception:
        logger.exception("A webhook of the service %s cannot be read.", alias)
        return _answer(400)
    return _answer(200) if reported is None else _record(request, alias, reported)


def _record(request: HttpRequest, alias: str, reported: WebhookEvent) -> HttpResponse:
    owner = reported.webcallid or reported.reference
    address = client_address(request.META, settings.trusted_proxies)
    try:
        pk, reply = RECORDING.within_share(owner, WAIT, webhooks.receive, alias, reported, address)
    except (Overdue, DatabaseError) as error:
        logger.error("A webhook of the service %s could not be recorded: %r", alias, error)
        return _answer(503)
    if not pk:
        return _answer(404)
    if reply.status == HTTP_HANG_UP:
        logger.info("Ending call %s: %s.", pk, reply.reason)
        task_publisher.hang_up(pk)
    return _answer(200)


def _is_possible(reported: WebhookEvent) -> bool:
    figures = (reported.duration or 0, reported.cost or 0)
    return all(0 <= figure < MAX_NUMBER for figure in figures)


def _answer(status: int, **headers: str) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/plain", headers=headers)
