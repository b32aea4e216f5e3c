"""JSON responses for the `<poketalk-call>` element. They have the content of the HTML pages."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.conf import settings as project
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _

from ..button import signed_call
from ..calls import asking, required_results, subjects
from ..exceptions import CallRefused
from ..models import CallRequest
from ..presentation import call_status, wrap_up
from ..shared.etags import weak_etag

JSON_TYPE = "application/json"


def wants_json(request: HttpRequest) -> bool:
    """Whether the client prefers JSON to HTML. A browser that submits a form prefers HTML."""
    return request.get_preferred_type(["text/html", JSON_TYPE]) == JSON_TYPE


def state(request: HttpRequest, call: CallRequest) -> HttpResponseBase:
    """The call's status, or 304 if nothing but the clock has changed, which the page updates."""
    subjects.load([call])
    if call_status.wants_cause(call):
        asking.explain(call)
    data = call_status.serialize(call, request.user)
    tag = etag(data)
    response = JsonResponse(data, headers={"ETag": tag})
    return get_conditional_response(request, etag=tag, response=response) or response


def etag(data: dict[str, Any]) -> str:
    """The ETag of a result of `call_status.serialize`."""
    return weak_etag({**data, "clock": None, "next_report": None})


def placed(
    request: HttpRequest, call: CallRequest, pressed: signed_call.Button, back: str
) -> JsonResponse:
    """The new call: its status, its URLs, and the token for the next call of the same button."""
    subjects.load([call])
    user: Any = request.user
    return JsonResponse(
        {
            **call_status.serialize_with_links(call, user, back),
            "token": signed_call.sign(
                dataclasses.replace(pressed, nonce=signed_call.new_nonce()), user
            ),
        }
    )


def refused(request: HttpRequest, refusal: CallRefused, back: str) -> JsonResponse:
    """Why the call was refused, with a link to a page where the user can fix that.

    The status is 200, unlike that of the HTML page, because browsers log other statuses as errors.
    """
    user: Any = request.user
    link = call_status.way_out(refusal, user, back)
    last = required_results.missing(user) if refusal.code == "wrap_up_missing" else None
    more: dict[str, Any] = {"wrap_up": wrap_up.link_to(last)} if last else {}
    return _no_call(str(refusal.sentence), refusal.code, link, **more)


def logged_out(back: str) -> HttpResponse:
    """401, with a link to the login page, which leads back to `back`."""
    login = call_status.with_way_back(resolve_url(project.LOGIN_URL), back)
    sentence = _("You have been logged out. Log in and try again.")
    link = {"url": login, "label": _("Log in")}
    return _no_call(sentence, "logged_out", link, 401)


def not_allowed(sentence: str) -> HttpResponse:
    """403 with this sentence."""
    return _no_call(sentence, "not_allowed", None, 403)


def _no_call(
    sentence: str, code: str, link: dict[str, str] | None, status: int = 200, **more: Any
) -> JsonResponse:
    return JsonResponse(
        {
            "phase": "refused",
            "sentence": sentence,
            "code": code,
            "link": link,
            "open": False,
            "may_hang_up": False,
            **more,
        },
        status=status,
    )
