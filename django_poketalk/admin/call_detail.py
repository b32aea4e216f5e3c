"""The detail page of a call in the admin: timeline, facts, events, request and answer. It updates
itself while the call is open. The actions on the page are in `call_actions`.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import get_language

from .. import permissions
from ..calls import subjects
from ..models import BlacklistedNumber, CallEvent, CallRequest
from ..models.metadata import as_json
from ..presentation.people import full_name
from ..shared.admin_pages import admin_url, one_or_404, render_page
from ..shared.etags import if_changed, weak_etag
from ..shared.personal_data import mask_json
from ..shared.text import whole_number
from ..views.after_call_forms import WrapUpForm
from ..views.calls import wrap_up_context
from . import call_actions, call_detail_context
from .subject_links import subject_url

LIVE = "poketalk/admin/call_live.html"
MAX_ACTIONS = 10  # the newest actions of staff
REDRAW_AFTER = 10  # seconds after which the timeline of an open call is redrawn without new events


def page_view(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    object_id: str,
    extra_context: dict[str, Any] | None = None,
) -> HttpResponse:
    """The page. Calls cannot be edited, so POST is not allowed."""
    call: CallRequest = one_or_404(model_admin, request, object_id)
    if request.method not in ("GET", "HEAD"):
        raise PermissionDenied
    return page(model_admin, request, call, extra_context=extra_context)


def page(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    call: CallRequest,
    wrap_up_form: WrapUpForm | None = None,
    extra_context: dict[str, Any] | None = None,
) -> HttpResponse:
    """The page of this call, with the form for its wrap-up as it was sent, if it was."""
    prefetch_related_objects([call], "wrap_up__user", "call_back", "stored_metadata")
    now = timezone.now()
    user: Any = request.user
    context = {
        **_live_context(model_admin, request, call, now),
        **call_detail_context.request_and_answer(call, user),
        **_what_follows(request, call, wrap_up_form),
        "service_call": _service_call(model_admin.admin_site, call, user),
        "call_again": call_actions.call_again_sentence(call, user),
        "numbers": _numbers(model_admin.admin_site, call, user, now),
        "may_block": permissions.may_keep_blacklist(user, "add"),
        "history": _actions(call, user),
        "title": str(call),
        "subtitle": None,
        "original": call,
        "media": forms.Media(),
        "add": False,
        "change": True,
        "is_popup": False,
        "has_view_permission": True,
        "has_delete_permission": model_admin.has_delete_permission(request, call),
        "preserved_filters": model_admin.get_preserved_filters(request),
        "has_absolute_url": True,
        "absolute_url": model_admin.get_view_on_site_url(call),
        **(extra_context or {}),
    }
    return render_page(model_admin, request, "poketalk/admin/call.html", context)


def _what_follows(
    request: HttpRequest, call: CallRequest, form: WrapUpForm | None
) -> dict[str, Any]:
    """The wrap-up of the call, and the metadata that it was requested with."""
    whole = permissions.may_see_numbers(request.user, call)
    metadata = call.metadata if whole else mask_json(call.metadata)
    return {
        **wrap_up_context(request, call, form),
        "wrap_up_by": full_name(call.wrapped_up.user) if call.wrapped_up else "",
        "metadata": [(key, as_json(value)) for key, value in metadata.items()],
    }


def mask_history(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Mask the numbers in Django's history page for users who may not see them."""
    if isinstance(response, TemplateResponse):
        data: Any = response.context_data
        if not permissions.may_see_numbers(request.user, data["object"]):
            page = data["action_list"]
            page.object_list = list(page.object_list)
            for entry in page.object_list:
                entry.change_message = permissions.display_text(entry.get_change_message(), False)
    return response


def live_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponseBase:
    """The parts of the page that change, for its script, or 304 if they have not changed."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    now = timezone.now()

    def render() -> HttpResponse:
        return TemplateResponse(request, LIVE, _live_context(model_admin, request, call, now))

    return if_changed(request, _etag(call, request, now), render)


def _live_context(
    model_admin: ModelAdmin[Any], request: HttpRequest, call: CallRequest, now: datetime
) -> dict[str, Any]:
    user: Any = request.user
    subjects.load([call])
    whole = permissions.may_see_numbers(user, call)
    page = partial(subject_url, model_admin.admin_site, request)
    if not permissions.may_see_events(user, call):
        return call_detail_context.call_detail_context(call, user, now, [], None, page)
    events, older = _newest_events(call)
    listed, older_listed = events, older
    before = _before(request)
    if before is not None:
        listed, older_listed = _newest_events(call, before)
    return {
        **call_detail_context.call_detail_context(call, user, now, events, older, page),
        "rows": call_detail_context.rows(listed, older_listed, whole),
        "older": listed[0].pk if older_listed and listed else None,
        "is_older": before is not None,
        "left_out": older is not None,
        "most_events": call_detail_context.MOST_EVENTS,
    }


def _newest_events(
    call: CallRequest, before: int | None = None
) -> tuple[list[CallEvent], CallEvent | None]:
    """The newest events in the order in which they were received, and the one before them."""
    among = call.events.all() if before is None else call.events.filter(pk__lt=before)
    newest = list(among.order_by("-pk")[: call_detail_context.MOST_EVENTS + 1])[::-1]
    if len(newest) > call_detail_context.MOST_EVENTS:
        return newest[1:], newest[0]
    return newest, None


def _before(request: HttpRequest) -> int | None:
    """The primary key of the event before which the list ends, from the link, or None."""
    return whole_number(request.GET.get("before", ""))


def _etag(call: CallRequest, request: HttpRequest, now: datetime) -> str:
    """Depends on the row, on the user's permissions and, for an open call, on the time."""
    row = [getattr(call, field.attname) for field in call._meta.concrete_fields]
    may = (
        permissions.may_see_numbers(request.user, call),
        permissions.may_see_events(request.user, call),
        permissions.may_hang_up(request.user, call),
        permissions.may_resolve(request.user, call),
    )
    reader = (request.user.pk, may, get_language(), _before(request))
    redraws = int(now.timestamp()) // REDRAW_AFTER if call.is_open else 0
    return weak_etag((row, reader, redraws))


def _numbers(site: AdminSite, call: CallRequest, user: Any, now: datetime) -> list[dict[str, Any]]:
    """Both numbers, each with the entry that blocks it, for users who may use the blacklist. Of a
    masked number, prefixes would tell the digits, so only the entry for itself counts.
    """
    may_view = permissions.may_keep_blacklist(user, "view")
    if not may_view and not permissions.may_keep_blacklist(user, "add"):
        return []
    whole = permissions.may_see_numbers(user, call)
    return [
        {
            "leg": direction.value,
            "text": permissions.display_number(number, whole),
            "entry": entry,
            "reason": permissions.display_text(entry.reason, whole) if entry else "",
            "link": admin_url(site, "poketalk_blacklistednumber_change", entry.pk)
            if entry and may_view
            else "",
        }
        for direction, number in (
            (BlacklistedNumber.Direction.FROM, call.from_number),
            (BlacklistedNumber.Direction.TO, call.to_number),
        )
        if number
        for entry in [BlacklistedNumber.matching(number, direction, now, by_prefix=whole)]
    ]


def _service_call(site: AdminSite, call: CallRequest, user: Any) -> str:
    """The URL that finds the call in our service's half, if that is part of this project and the
    user may view its calls, else "".
    """
    if call.sent_at is None or not user.has_perm("poketalk_server.view_call"):
        return ""
    found = admin_url(site, "poketalk_server_call_changelist")
    return f"{found}?{urlencode({'q': call.webcallid})}" if found else ""


def _actions(call: CallRequest, user: Any) -> list[tuple[LogEntry, str]]:
    """The history of the call in the admin, newest first."""
    whole = permissions.may_see_numbers(user, call)
    content_type = ContentType.objects.get_for_model(call)
    entries = LogEntry.objects.filter(content_type=content_type, object_id=str(call.pk))
    return [
        (entry, permissions.display_text(entry.get_change_message(), whole))
        for entry in entries.select_related("user").order_by("-pk")[:MAX_ACTIONS]
    ]
