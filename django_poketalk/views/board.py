"""The rows of the live board on a project's own pages, for its script."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..presentation import live_board
from ..shared.etags import if_changed
from .calls import way_back


@login_not_required
@never_cache
@require_safe
def rows(request: HttpRequest) -> HttpResponseBase:
    """The contents of the board, or 304 if nothing but clocks has changed. 401 without a login."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)

    def render() -> HttpResponse:
        context = live_board.on_page(request.user, way_back(request))
        return TemplateResponse(request, "poketalk/live_board_rows.html", context)

    return if_changed(request, live_board.version(request.user, timezone.now()), render)
