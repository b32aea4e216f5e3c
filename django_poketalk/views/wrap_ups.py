"""Saves what follows a call: its result, a note, and when to call back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.shortcuts import render as render_fragment
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from .. import permissions
from ..calls import call_backs, subjects
from ..exceptions import CallRefused
from ..models import CallRequest
from ..presentation.call_status import callee_for, with_way_back
from ..shared.moments import moment_with_zone
from . import answers, calls
from .after_call_forms import WrapUpForm
from .pages import page_methods


@login_required
@never_cache
@page_methods
def wrap_up(request: HttpRequest, pk: int) -> HttpResponseBase:
    """GET: the questions as a part of a page, for the script of the button. POST: save the answers,
    and redirect to the call's page; a script gets JSON with a `sentence`, and 422 with `errors` if
    they are not valid.
    """
    call = calls.visible_call(request, pk)
    user: Any = request.user
    if not permissions.may_wrap_up(user, call):
        return calls.refuse(request, _("You are not allowed to change the wrap-up of this call."))
    if request.method != "POST":
        return _questions(request, call)
    form = WrapUpForm(request.POST, call=call, user=user)
    if not form.saves():
        if answers.wants_json(request):
            errors = [str(each) for found in form.errors.values() for each in found]
            return JsonResponse({"errors": " ".join(errors)}, status=422)
        return calls.page(request, call, form, status=422)
    return _saved(request, call, saved_sentence(call, form.scheduled))


@calls.post_by_user
def try_again(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Call again in `RETRY_AFTER` seconds, if a phone of the user's call was not reached."""
    call = calls.visible_call(request, pk)
    if not call_backs.may_try_again(call, request.user):
        return calls.refuse(request, _("You cannot try this call again."))
    try:
        made = call_backs.try_again(call, request.user)
    except CallRefused as refusal:
        if answers.wants_json(request):
            return JsonResponse({"errors": str(refusal.sentence)}, status=422)
        messages.error(request, str(refusal.sentence), fail_silently=True)
        return _to_call(request, call)
    return _saved(request, call, scheduled_sentence(made))


def saved_sentence(call: CallRequest, scheduled: CallRequest | None) -> str:
    """What was saved, for the user."""
    row, follow_up = call.wrapped_up, call.follow_up
    parts = [_("Saved: %(result)s.") % {"result": row.label} if row.disposition else _("Saved.")]
    if scheduled is not None:
        parts.append(scheduled_sentence(scheduled))
    elif follow_up is not None and follow_up.done_at is None:
        words = {"time": moment_with_zone(follow_up.due_at)}
        parts.append(_("You will be reminded to call back: %(time)s.") % words)
    return " ".join(parts)


def scheduled_sentence(call: CallRequest) -> str:
    """When the phones of a scheduled call ring."""
    return _("Your phone will ring: %(time)s.") % {"time": moment_with_zone(call.rings_at)}


def _questions(request: HttpRequest, call: CallRequest) -> HttpResponse:
    subjects.load([call])
    name = callee_for(call, request.user)
    context = {**calls.wrap_up_context(request, call), "call": call, "name": name}
    return render_fragment(request, "poketalk/wrap_up_panel.html", context)


def _saved(request: HttpRequest, call: CallRequest, sentence: str) -> HttpResponseBase:
    if answers.wants_json(request):
        return JsonResponse({"sentence": sentence})
    messages.success(request, sentence, fail_silently=True)
    return _to_call(request, call)


def _to_call(request: HttpRequest, call: CallRequest) -> HttpResponse:
    page = reverse("poketalk:call", args=[call.pk])
    return redirect(with_way_back(page, calls.way_back(request)))
