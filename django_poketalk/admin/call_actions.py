"""The actions on one call in the admin: hang up, call again, resolve manually, block its numbers.

Each is a POST request, checks `permissions`, uses `requesting` or the models, and is logged in the
admin's history.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import redialing, requesting
from ..exceptions import CallRefused
from ..forms import ResolveForm
from ..models import BlacklistedNumber, CallRequest, Placement
from ..shared.admin_pages import admin_url, one_or_404, render_page
from ..shared.text import whole_number
from ..views.answers import wants_json
from ..views.calls import way_back
from . import call_list

BLOCKED = {"from": "caller", "to": "callee"}  # in the history


def hang_up_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """End the call at any stage."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not permissions.may_hang_up(request.user, call):
        raise PermissionDenied
    is_ending = call.is_open and requesting.hang_up(call, request.user)
    if is_ending:
        model_admin.log_change(request, call, "Requested hang-up.")
    if wants_json(request):  # the live board, which shows it at once
        return JsonResponse({"ending": is_ending})
    if is_ending:
        model_admin.message_user(request, _("The call is being ended."), messages.SUCCESS)
    else:
        text = _("This call has already ended or is ending.")
        model_admin.message_user(request, text, messages.WARNING)
    return redirect(way_back(request)) if way_back(request) else _back(model_admin, call)


def call_again_sentence(call: CallRequest, user: Any) -> str:
    """Whose phone rings first if this user calls again, as a sentence. "" if the user may not, or
    if the call has not ended.
    """
    if call.is_open or not permissions.may_place(user):
        return ""
    try:
        redialing.check(call, user)
    except CallRefused:
        return ""
    return call_list.other_phone_sentence(call, user) or _("Your phone rings first.")


def again_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Call again from the page of a call that has ended, which says whose phone rings."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not permissions.may_place(request.user):
        raise PermissionDenied
    if call.is_open:
        model_admin.message_user(request, _("This call has not ended yet."), messages.WARNING)
        return _back(model_admin, call)
    return _back(model_admin, call_list.place_again(model_admin, request, call) or call)


def resolve_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve a call manually, if the service gave no clear answer."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    if not permissions.may_resolve(request.user, call):
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
    direction = BlacklistedNumber.Direction(leg)
    whole = permissions.may_see_numbers(request.user, call)
    with transaction.atomic():
        entry = BlacklistedNumber.block(number, direction, reason, request.user, by_prefix=whole)
        if entry is not None:
            model_admin.log_addition(request, entry, f"Blocked from call {call.pk}.")
            model_admin.log_change(request, call, f"Blocked the {BLOCKED[leg]}.")
    if entry is None:
        model_admin.message_user(
            request, _("That number is already on the blacklist."), messages.WARNING
        )
    else:
        sentence = _blocked(model_admin, request, call, entry)
        model_admin.message_user(request, sentence, messages.SUCCESS)
    return _back(model_admin, call)


def unblock_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Undo `block_view`: delete the entry that this user has added for one of the call's numbers.
    Does nothing if somebody else has renewed or deleted it meanwhile.
    """
    call: CallRequest = one_or_404(model_admin, request, pk)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    numbers = [number for number in (call.from_number, call.to_number) if number]
    own = BlacklistedNumber.objects.filter(
        pk=whole_number(request.POST.get("entry", "")) or 0,
        number__in=numbers,
        is_prefix=False,
        created_by=request.user.pk,
    )
    entry = own.first()
    if not permissions.may_keep_blacklist(request.user, "delete", entry):
        raise PermissionDenied
    if entry is None:
        text = _("The entry has been deleted or changed in the meantime. Nothing was undone.")
        model_admin.message_user(request, text, messages.WARNING)
    else:
        with transaction.atomic():
            model_admin.log_deletions(request, own)
            own.delete()
            model_admin.log_change(request, call, "Removed the number from the blacklist again.")
        text = _("The number was removed from the blacklist again.")
        model_admin.message_user(request, text, messages.SUCCESS)
    return _back(model_admin, call)


def _already_known(
    model_admin: ModelAdmin[Any], request: HttpRequest, call: CallRequest
) -> HttpResponse:
    text = _("The outcome of this call is known by now. There is nothing to resolve.")
    model_admin.message_user(request, text, messages.WARNING)
    return _back(model_admin, call)


def _back(model_admin: ModelAdmin[Any], call: CallRequest) -> HttpResponse:
    return redirect(admin_url(model_admin.admin_site, "poketalk_callrequest_change", call.pk))


def _blocked(
    model_admin: ModelAdmin[Any], request: HttpRequest, call: CallRequest, entry: BlacklistedNumber
) -> str:
    """The message, with a link to the entry and a button to undo it, for whom may use them."""
    parts = [_("The number was added to the blacklist.")]
    link = admin_url(model_admin.admin_site, "poketalk_blacklistednumber_change", entry.pk)
    if link and permissions.may_keep_blacklist(request.user, "view", entry):
        parts.append(format_html('<a href="{}">{}</a>', link, _("View entry")))
    if permissions.may_keep_blacklist(request.user, "delete", entry):
        undo = admin_url(model_admin.admin_site, "poketalk_callrequest_unblock", call.pk)
        context = {"undo": undo, "entry": entry.pk}
        parts.append(render_to_string("poketalk/admin/undo.html", context, request))
    return format_html_join(" ", "{}", ((part,) for part in parts))
