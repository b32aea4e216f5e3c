"""The actions on one call in the admin: hang up, resolve manually, block its numbers.

Each is a POST request, checks `permissions`, uses `requesting` or the models, and is logged in the
admin's history.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import requesting
from ..forms import ResolveForm
from ..models import BlacklistedNumber, CallRequest, Placement
from ..shared.admin_pages import admin_url, one_or_404, render_page


def hang_up_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """End the call at any stage."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not permissions.may_hang_up(request.user, call):
        raise PermissionDenied
    if call.is_open and requesting.hang_up(call, request.user):
        model_admin.log_change(request, call, "Requested hang-up.")
        model_admin.message_user(request, _("The call is being ended."), messages.SUCCESS)
    else:
        text = _("This call has already ended or is ending.")
        model_admin.message_user(request, text, messages.WARNING)
    return _back(model_admin, call)


def resolve_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve a call manually, if the service gave no clear answer."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    if not permissions.may_resolve(request.user):
        raise PermissionDenied
    if call.placement != Placement.UNKNOWN:
        return _already_known(model_admin, request, call)
    form = ResolveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            resolved = requesting.resolve(call, form.outcome, request.user)
            if resolved:
                model_admin.log_change(request, call, form.log_message)
        if not resolved:
            return _already_known(model_admin, request, call)
        model_admin.message_user(
            request, _("Saved. A later event from the service overrides it."), messages.SUCCESS
        )
        return _back(model_admin, call)
    context = {
        "title": _("Resolve this call manually"),
        "form": form,
        "call": call,
        "back": admin_url(model_admin.admin_site, "poketalk_callrequest_change", call.pk),
    }
    return render_page(model_admin, request, "poketalk/admin/resolve.html", context)


def block_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Add one of the call's numbers to the blacklist, in the direction in which it was used."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not permissions.may_keep_blacklist(request.user, "add"):
        raise PermissionDenied
    leg = request.POST.get("leg", "")
    number = {"from": call.from_number, "to": call.to_number}.get(leg, "")
    if not number:  # no such leg, or the number was erased
        raise Http404
    reason = " ".join(request.POST.get("reason", "").split())[:200]
    with transaction.atomic():
        entry = BlacklistedNumber.block(
            number, BlacklistedNumber.Direction(leg), reason, request.user
        )
        if entry is not None:
            model_admin.log_addition(request, entry, f"Blocked from call {call.pk}.")
            model_admin.log_change(request, call, f"Blocked the “{leg}” number.")
    if entry is None:
        model_admin.message_user(
            request, _("That number is already on the blacklist."), messages.WARNING
        )
    else:
        model_admin.message_user(request, _blocked(model_admin, request, entry), messages.SUCCESS)
    return _back(model_admin, call)


def _already_known(
    model_admin: ModelAdmin[Any], request: HttpRequest, call: CallRequest
) -> HttpResponse:
    text = _("The outcome of this call is known by now. There is nothing to resolve.")
    model_admin.message_user(request, text, messages.WARNING)
    return _back(model_admin, call)


def _back(model_admin: ModelAdmin[Any], call: CallRequest) -> HttpResponse:
    return redirect(admin_url(model_admin.admin_site, "poketalk_callrequest_change", call.pk))


def _blocked(model_admin: ModelAdmin[Any], request: HttpRequest, entry: BlacklistedNumber) -> str:
    link = admin_url(model_admin.admin_site, "poketalk_blacklistednumber_change", entry.pk)
    if not link or not permissions.may_keep_blacklist(request.user, "view"):
        return _("The number was added to the blacklist.")
    return format_html(
        '{} <a href="{}">{}</a>', _("The number was added to the blacklist."), link, _("View entry")
    )
