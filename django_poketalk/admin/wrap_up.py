"""Saves the wrap-up of a call in the admin: its result, its note, and when to call back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect

from .. import permissions
from ..models import CallRequest
from ..shared.admin_pages import admin_url, one_or_404
from ..views.after_call_forms import WrapUpForm
from ..views.wrap_ups import saved_sentence
from . import call_detail


def wrap_up_view(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> HttpResponse:
    """Save what the form on the call's page names, or display the page with its errors."""
    call: CallRequest = one_or_404(model_admin, request, pk)
    user: Any = request.user
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not permissions.may_wrap_up(user, call):
        raise PermissionDenied
    form = WrapUpForm(request.POST, call=call, user=user)
    if not form.saves():
        return call_detail.page(model_admin, request, call, wrap_up_form=form)
    model_admin.log_change(request, call, "Saved the wrap-up.")
    model_admin.message_user(request, saved_sentence(call, form.scheduled), messages.SUCCESS)
    return redirect(admin_url(model_admin.admin_site, "poketalk_callrequest_change", call.pk))
