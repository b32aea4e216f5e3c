"""The Click-2-Call API: a form in, a response code out. The rules are in `admission`."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.protocol.form_extensions import CALLER_ID_FIELD, TO_EXTENSION_FIELD
from django_poketalk.protocol.reasons import HEADER
from django_poketalk.shared.client_address import client_address
from django_poketalk.shared.deadline import Deadline, Overdue
from django_poketalk.shared.logs import about_call, get_logger
from django_poketalk.shared.problems import RETRY_AFTER
from django_poketalk.shared.text import on_one_line

from . import admission
from .conf import settings
from .database.clock import database_now
from .health import current_health

FIELDS = ("api_key", "from", "to", "custom", "eventurl", TO_EXTENSION_FIELD, CALLER_ID_FIELD)
WAIT = 1.5  # seconds to wait for the database, so that the answer is sent within two
# Requests wait for a thread, and those with the same key wait for each other: they need the same
# locks, and threads that wait for these would be missing for other accounts.
REQUESTS = Deadline("poketalk-requests", threads=16, share=4, queues=True)
UNAVAILABLE = "The database is not available. Repeat the request with the same custom."
MAX_REASON = 200  # characters of the database's error in the log
MAX_BODY = 16 * 1024  # bytes: several times the longest valid request, percent-encoded
# Malformed, too many fields, unknown encoding (ValueError, LookupError), connection lost (OSError).
UNREADABLE = (
    BadRequest,
    SuspiciousOperation,
    MultiPartParserError,
    ValueError,
    LookupError,
    OSError,
)

logger = get_logger(__name__)


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
@sensitive_post_parameters()
@sensitive_variables()  # applies to everything called from here: error reports show no values
def click2call(request: HttpRequest) -> HttpResponse:
    """Request a call. The body of the response is exactly the response code.

    405, 411, 413, 400 and 503, with a line of plain text, are for errors without a response code. A
    form that cannot be parsed or has a field more than once is rejected before any other rule
    applies. A chunked body is 411: web servers pass on its length or its content, but not both.
    """
    if request.method != "POST":
        return _not_allowed("POST")
    if request.headers.get("Transfer-Encoding"):
        return _text("Send the body with a Content-Length, not in chunks.", status=411)
    if _length(request) > MAX_BODY:
        return _text(f"The request is larger than {MAX_BODY} bytes.", status=413)
    try:
        form = request.POST
    except UNREADABLE:
        return _text("The form cannot be parsed.", status=400)
    for name in FIELDS:
        if len(form.getlist(name)) > 1:
            return _text(f"Field {name!r} appears more than once.", status=400)
    try:
        call_form = _call_form(request, form)
        answer = REQUESTS.within_share(hash(call_form.api_key), WAIT, _admit, call_form)
    except (Overdue, OperationalError, InterfaceError) as error:
        reason = on_one_line(str(error))[:MAX_REASON] or "no response in time"
        logger.error("A request for a call is answered with 503: %s", reason)
        return _text(UNAVAILABLE, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    match answer:
        case admission.Admitted():
            return _text(ResponseCode.OK)
        case admission.Refused(code, reason):
            return _text(code, headers={HEADER: reason} if reason else None)
        case admission.Malformed(reason):
            return _text(reason, status=400)


@login_not_required
@transaction.non_atomic_requests
@sensitive_variables()
def health(request: HttpRequest) -> HttpResponse:
    """The health of the service for monitoring tools, as JSON: 503 if there are problems.

    Requires `Authorization: Bearer` and `HEALTH_TOKEN`: otherwise 401, or 403 if that is not set.
    """
    if request.method not in ("GET", "HEAD"):
        return _not_allowed("GET", "HEAD")
    if not settings.health_token:
        return _text("The setting HEALTH_TOKEN is not set.", status=403)
    scheme, _separator, token = request.headers.get("Authorization", "").partition(" ")
    is_known = constant_time_compare(token.strip(), settings.health_token)
    if scheme.lower() != "bearer" or not is_known:
        return _text("Unauthorized.", status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        found = REQUESTS.within(WAIT, lambda: current_health(database_now()).as_json())
    except (Overdue, OperationalError, InterfaceError):
        found = {"ok": False, "problems": ["database"]}
    return JsonResponse(
        found, status=200 if found["ok"] else 503, headers={"Cache-Control": "no-store"}
    )


@sensitive_variables()  # in a thread of its own, so the view's decorator does not apply
def _admit(form: admission.CallForm) -> admission.Answer:
    with about_call(None, "admit"):
        return admission.admit(form)


def _call_form(request: HttpRequest, form: QueryDict) -> admission.CallForm:
    return admission.CallForm(
        api_key=form.get("api_key", ""),
        from_number=form.get("from", ""),
        to_number=form.get("to", ""),
        custom=form.get("custom", ""),
        eventurl=form.get("eventurl", ""),
        caller_id=form.get(CALLER_ID_FIELD, ""),
        to_extension=form.get(TO_EXTENSION_FIELD, ""),
        address=client_address(request.META, settings.trusted_proxies),
    )


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _not_allowed(*methods: str) -> HttpResponse:
    return _text(f"Send a {methods[0]} request.", status=405, headers={"Allow": ", ".join(methods)})


def _text(body: str, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        body, status=status, content_type="text/plain; charset=utf-8", headers=headers
    )
