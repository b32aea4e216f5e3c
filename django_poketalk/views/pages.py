"""Renders the pages for users in their own frame, or in that of the site (`BASE_TEMPLATE`)."""

from __future__ import annotations

from typing import Any

from django import shortcuts
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from ..conf import settings

page_methods = require_http_methods(["GET", "HEAD", "POST"])


def render(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The page, which extends the template `poketalk_frame`."""
    site = settings.base_template
    frame = {
        "poketalk_frame": "poketalk/site.html" if site else "poketalk/base.html",
        "poketalk_site": site,
    }
    return shortcuts.render(request, template, {**frame, **context}, status=status)
