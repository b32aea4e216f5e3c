"""The live board in the admin: a page, and its rows for its script."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..presentation import live_board
from ..shared.admin_pages import admin_url, render_page
from ..shared.etags import if_changed
from .subject_links import subject_url

CALLS = "poketalk_callrequest"


def board_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """All that is going on. Works without its script, which keeps it up to date."""
    _check(model_admin, request)
    context = {
        "title": _("Live board"),
        "media": model_admin.media,
        "rows_url": admin_url(model_admin.admin_site, f"{CALLS}_board_rows"),
        **_context(model_admin.admin_site, request),
    }
    return render_page(model_admin, request, "poketalk/admin/board.html", context)


def rows_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponseBase:
    """The contents of the board, or 304 if nothing but the clocks has changed."""
    _check(model_admin, request)

    def render() -> HttpResponse:
        context = _context(model_admin.admin_site, request)
        return TemplateResponse(request, "poketalk/live_board_rows.html", context)

    return if_changed(request, live_board.version(request.user, timezone.now()), render)


def _check(model_admin: ModelAdmin[Any], request: HttpRequest) -> None:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied


def _context(site: AdminSite, request: HttpRequest) -> dict[str, Any]:
    return live_board.board(
        request.user,
        timezone.now(),
        call=lambda call: admin_url(site, f"{CALLS}_change", call.pk),
        subject=lambda subject: subject_url(site, request, subject),
        hang_up=lambda call: admin_url(site, f"{CALLS}_hang_up", call.pk),
    )
