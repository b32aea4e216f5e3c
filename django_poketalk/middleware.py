"""Puts the bar with the user's open call onto every page of Django's admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin.options import IS_POPUP_VAR
from django.http import HttpRequest, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin

from .button import call_bar

BODY_END = "</body>"


class AdminCallBarMiddleware(MiddlewareMixin):
    """List it in `MIDDLEWARE` after the authentication. It works under any theme of the admin and
    in any admin site, since it needs no template of theirs: the bar is added before `</body>`.
    """

    def process_template_response(self, request: HttpRequest, response: Any) -> HttpResponseBase:
        if _is_of_admin(request) and not getattr(response, "streaming", False):
            response.add_post_render_callback(_adding_bar(request))
        return response  # type: ignore[no-any-return]


def _is_of_admin(request: HttpRequest) -> bool:
    found = request.resolver_match
    is_popup = IS_POPUP_VAR in request.GET or IS_POPUP_VAR in request.POST
    return found is not None and "admin" in found.app_names and not is_popup


def _adding_bar(request: HttpRequest) -> Callable[[Any], None]:
    def add_bar(response: Any) -> None:
        if not response.get("Content-Type", "").startswith("text/html"):
            return
        before, end, after = response.content.decode(response.charset).rpartition(BODY_END)
        context = call_bar.context(request) if end else {}
        if context:
            bar = render_to_string("poketalk/call_bar.html", context, request)
            response.content = f"{before}{bar}{end}{after}"

    return add_bar
