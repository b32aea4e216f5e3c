"""The Click-2-Call API: a form in, a response code out. The rules are in `admission`."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.protocol.form_extensions import TO_EXTENSION_FIELD
from django_poketalk.shared.client_address import client_address

from . import admission
from .conf import settings

FIELDS = ("api_key", "from", "to", "custom", "eventurl", TO_EXTENSION_FIELD, "x_caller_id")
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


@csrf_exempt
@login_not_required
@sensitive_post_parameters()
@sensitive_variables()  # applies to everything called from here: error reports show no values
@require_POST
def click2call(request: HttpRequest) -> HttpResponse:
    """Request a call. The body of the response is exactly the response code.

    413 and 400, with a line of plain text, are for errors without a response code. A form that
    cannot be parsed or has a field more than once is rejected before any other rule applies.
    """
    if _length(request) > MAX_BODY:
        return _text(f"The request is larger than {MAX_BODY} bytes.", status=413)
    try:
        form = request.POST
    except UNREADABLE:
        return _text("The form cannot be parsed.", status=400)
    for name in FIELDS:
        if len(form.getlist(name)) > 1:
            return _text(f"Field {name!r} appears more than once.", status=400)
    match admission.admit(_call_form(request, form)):
        case admission.Admitted():
            return _text(ResponseCode.OK)
        case admission.Refused(code):
            return _text(code)
        case admission.Malformed(reason):
            return _text(reason, status=400)


def _call_form(request: HttpRequest, form: QueryDict) -> admission.CallForm:
    return admission.CallForm(
        api_key=form.get("api_key", ""),
        from_number=form.get("from", ""),
        to_number=form.get("to", ""),
        custom=form.get("custom", ""),
        eventurl=form.get("eventurl", ""),
        caller_id=form.get("x_caller_id", ""),
        to_extension=form.get(TO_EXTENSION_FIELD, ""),
        address=client_address(request.META, settings.trusted_proxies),
    )


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _text(body: str, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="text/plain; charset=utf-8")
