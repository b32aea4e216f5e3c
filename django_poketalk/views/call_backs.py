"""Call backs and scheduled calls: sets, changes and removes them, and marks them as done."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from .. import permissions
from ..button import signed_call
from ..calls import call_backs, orders
from ..exceptions import CallRefused
from ..forms import LaterForm
from ..models import CallBack, CallRequest, Placement
from ..presentation.call_status import with_way_back
from ..protocol import numbers
from ..shared.moments import moment_with_zone
from . import calls, wrap_ups
from .after_call_forms import CallBackForm, ScheduleForm
from .pages import page_methods, render

STYLES = ("poketalk/wrap_up.css",)


@calls.post_by_user
def add(request: HttpRequest) -> HttpResponseBase:
    """Remind the user to call the number of a button, or schedule its call."""
    if not permissions.may_place(request.user):
        return calls.refuse(request, _("You are not allowed to place calls."))
    form = LaterForm(request.POST)
    try:
        pressed = signed_call.read(request.POST.get("token", ""), request.user)
        if form.is_valid():
            sentence = _set(pressed, form.cleaned_data, request.user)
            messages.success(request, sentence, fail_silently=True)
            return redirect(calls.way_back(request) or to_list("due"))
    except CallRefused as refusal:
        form.add_error("due_at", str(refusal.sentence))
    context = {
        "form": form,
        "title": _("Call back later"),
        "token": request.POST.get("token", ""),
        "back": calls.way_back(request),
        "styles": STYLES,
    }
    return render(request, "poketalk/call_back.html", context, status=422)


@login_required
@never_cache
@page_methods
def call_back(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One call back, to change its time or note."""
    found = _own(request, pk)
    form = CallBackForm(request.POST if request.method == "POST" else None, instance=found)
    if request.method == "POST" and form.is_valid():
        stored = CallBack.objects.get(pk=pk)  # the form has changed the other object
        try:
            at = call_backs.within_a_year(form.cleaned_data["due_at"])
        except CallRefused as refusal:
            form.add_error("due_at", str(refusal.sentence))
        else:
            if stored.move(at, note=form.cleaned_data["note"]):
                messages.success(request, _("The call back was changed."), fail_silently=True)
            else:
                messages.warning(request, _("The call back is done."), fail_silently=True)
            return _back(request, "due")
    context = {
        "form": form,
        "title": _("Change call back"),
        "call_back": found,
        "name": _name(found),
        "back": calls.way_back(request),
        "styles": STYLES,
    }
    return render(request, "poketalk/call_back.html", context, 422 if form.errors else 200)


@calls.post_by_user
def done(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Mark a call back as done."""
    _own(request, pk).finish(timezone.now())
    messages.success(request, _("The call back is done."), fail_silently=True)
    return _back(request, "due")


@calls.post_by_user
def remove(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Delete a call back."""
    _own(request, pk).delete()
    messages.success(request, _("The call back was removed."), fail_silently=True)
    return _back(request, "due")


@login_required
@never_cache
@page_methods
def schedule(request: HttpRequest, pk: int) -> HttpResponseBase:
    """When a scheduled call of the user rings, to change that. The page of the call cancels it.
    Leads to the call's page, with a warning, if the call waits no longer.
    """
    call = calls.visible_call(request, pk)
    if call.user_id != request.user.pk:
        raise Http404
    if call.placement != Placement.QUEUED:
        sentence = _("The call is being placed or was canceled.")
        messages.warning(request, sentence, fail_silently=True)
        page = reverse("poketalk:call", args=[call.pk])
        return redirect(with_way_back(page, calls.way_back(request)))
    initial = {"rings_at": call.rings_at}
    form = ScheduleForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            if call_backs.reschedule(call, form.cleaned_data["rings_at"]):
                sentence = wrap_ups.scheduled_sentence(call)
                messages.success(request, sentence, fail_silently=True)
                return _back(request, "scheduled")
            form.add_error(None, _("The call is being placed or was canceled."))
        except CallRefused as refusal:
            form.add_error("rings_at", str(refusal.sentence))
    context = {
        "form": form,
        "title": _("Change scheduled call"),
        "scheduled": call,
        "name": _name(call),
        "back": calls.way_back(request),
        "styles": STYLES,
    }
    return render(request, "poketalk/call_back.html", context, 422 if form.errors else 200)


def to_list(show: str) -> str:
    """The page *My calls* with this list."""
    return f"{reverse('poketalk:my-calls')}?show={show}"


def _set(pressed: signed_call.Button, chosen: dict[str, Any], user: Any) -> str:
    number, subject = pressed.callee(user)
    if chosen["ring"]:
        at = call_backs.within_a_year(chosen["due_at"])
        order: orders.UserOrder = {
            "to_number": number,
            "subject": subject,
            "metadata": pressed.metadata,
            "not_before": at,
            "expires_at": at + call_backs.RING_WITHIN,
        }
        made = orders.place(order, user, f"later-{pressed.nonce}-{at.isoformat()}")
        return wrap_ups.scheduled_sentence(made)
    made_back = call_backs.remind_about(
        user,
        number,
        chosen["due_at"],
        subject=subject,
        metadata=pressed.metadata,
        note=chosen["note"],
    )
    words = {"time": moment_with_zone(made_back.due_at)}
    return _("You will be reminded to call back: %(time)s.") % words


def _own(request: HttpRequest, pk: int) -> CallBack:
    found = get_object_or_404(CallBack, pk=pk)
    if found.user_id != request.user.pk:
        raise Http404
    if not permissions.may_place(request.user):
        raise PermissionDenied
    return found


def _name(row: CallBack | CallRequest) -> str:
    return str(row.subject or numbers.display(row.to_number, row.to_extension))


def _back(request: HttpRequest, show: str) -> HttpResponse:
    url = to_list(show)
    back = calls.way_back(request)
    return redirect(back if back.startswith(reverse("poketalk:my-calls")) else _with(url, back))


def _with(url: str, back: str) -> str:
    return with_way_back(url, "") if not back else f"{url}&{with_way_back('', back)[1:]}"
