"""The answers that the call element on a page understands: the same as the pages, as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.conf import settings as project
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _

from ..button import signed_call
from ..calls import subjects
from ..exceptions import CallRefused
from ..models import CallRequest
from ..presentation import call_status
from ..shared.etags import weak_etag

MACHINE = "application/json"


def wanted(request: HttpRequest) -> bool:
    """Whether JSON was asked for rather than a page. A browser that sends a form asks for pages."""
    return request.get_preferred_type(["text/html", MACHINE]) == MACHINE


def state(request: HttpRequest, call: CallRequest) -> HttpResponseBase:
    """How the call stands, or 304 when nothing has changed but the clock, which runs by itself."""
    subjects.load([call])
    shown = call_status.show(call, request.user)
    known = etag(shown)
    response = JsonResponse(shown, headers={"ETag": known})
    return get_conditional_response(request, etag=known, response=response) or response


def etag(shown: dict[str, Any]) -> str:
    """The ETag of what `call_status.show` gave."""
    return weak_etag({**shown, "clock": None})


def placed(
    request: HttpRequest, call: CallRequest, pressed: signed_call.Button, back: str
) -> JsonResponse:
    """What the press has made: how it stands, where to ask after it and to end it, and the token of
    the next call that the same button can make.
    """
    subjects.load([call])
    user: Any = request.user
    return JsonResponse(
        {
            **call_status.follow(call, user, back),
            "token": signed_call.sign(
                dataclasses.replace(pressed, nonce=signed_call.new_nonce()), user
            ),
        }
    )


def refused(request: HttpRequest, refusal: CallRefused, back: str) -> JsonResponse:
    """Why no call was made, and where that can be put right.

    200, unlike the page: for the script it is an answer, and a browser would write any other status
    to its console as an error.
    """
    return _no_call(
        "refused", str(refusal.sentence), refusal.code, _way_out(request, refusal, back)
    )


def logged_out(back: str) -> HttpResponse:
    """401, with the way to the login and back."""
    login = call_status.with_way_back(resolve_url(project.LOGIN_URL), back)
    sentence = _("You have been logged out. Log in and try again.")
    link = {"url": login, "label": _("Log in")}
    return _no_call("refused", sentence, "logged_out", link, 401)


def not_allowed(sentence: str) -> HttpResponse:
    """403, with the sentence."""
    return _no_call("refused", sentence, "not_allowed", None, 403)


def _no_call(
    phase: str, sentence: str, code: str, link: dict[str, str] | None, status: int = 200
) -> JsonResponse:
    return JsonResponse(
        {
            "phase": phase,
            "sentence": sentence,
            "code": code,
            "link": link,
            "open": False,
            "may_hang_up": False,
        },
        status=status,
    )


def _way_out(request: HttpRequest, refusal: CallRefused, back: str) -> dict[str, str] | None:
    if refusal.code == "no_own_number":
        url = call_status.with_way_back(reverse("poketalk:own-number"), back)
        return {"url": url, "label": _("Set your own phone number")}
    if refusal.code == "live_calls_per_user":
        user: Any = request.user
        going_on = CallRequest.objects.open().filter(user=user).first()
        if going_on is not None:
            url = call_status.with_way_back(reverse("poketalk:call", args=[going_on.pk]), back)
            return {"url": url, "label": _("View that call")}
    return None
