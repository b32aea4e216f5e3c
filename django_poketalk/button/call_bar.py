"""The bar with the user's open call, on every page of a site."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from .. import permissions
from ..calls import subjects
from ..presentation import call_status
from . import render


def open_calls(request: HttpRequest, back: str) -> list[dict[str, Any]]:
    """The user's open calls, newest first, as `call_status.serialize_with_links`. Takes one query,
    and one for each model that the calls are about.
    """
    calls = render.open_calls(request)
    subjects.load(calls)
    return [call_status.serialize_with_links(call, request.user, back) for call in calls]


def context(request: HttpRequest, back: str = "") -> dict[str, Any]:
    """The context of `poketalk/call_bar.html`. Empty for users who may not place calls. `back` is
    the page that the call's page links back to, by default the current one.
    """
    user = getattr(request, "user", None)
    if user is None or not permissions.may_place(user):
        return {}
    back = back or request.get_full_path()
    calls = open_calls(request, back)
    return {
        "current_url": reverse("poketalk:current"),
        "icon": static("poketalk/call_icon.svg"),
        "calls_json": json.dumps(calls, ensure_ascii=False),
        "call": calls[0] if calls else None,
        "back": back,
        "texts": render.texts(),
    }
