"""What people touch: the button's order, the call's page, hanging up, and the user's own number.

Each page works without script. Nothing is decided here: `calls.orders` and `calls.requesting` say
whether a call may be made, `permissions` who may do what, and `presentation` what to display.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings as project
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from .. import permissions
from ..button import signed_call
from ..calls import requesting, subjects
from ..exceptions import CallRefused
from ..forms import OwnNumberForm
from ..models import CallerNumber, CallRequest
from ..presentation import call_log, call_status
from . import answers

View = Callable[..., HttpResponseBase]


def post_by_user(view: View) -> View:
    """POST only, by a logged-in user: to others the script gets 401 with a sentence.

    Somebody whose session is over is brought back, after the login, to the page that the button was
    on: this view's own address, which `login_required` would choose, has nothing to show.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            back = way_back(request)
            if answers.wants_json(request):
                return answers.logged_out(back)
            return redirect_to_login(back or resolve_url(project.LOGIN_REDIRECT_URL))
        return view(request, *args, **kwargs)

    return login_not_required(never_cache(require_POST(checked)))


@post_by_user
def place(request: HttpRequest) -> HttpResponse:
    """The press of a call button: to the call's page, or (422) a page that says why not.

    To a script that asks for JSON, the same in `answers`.
    """
    back = way_back(request)
    if not permissions.may_place(request.user):
        return refuse(request, _("You are not allowed to place calls."))
    try:
        pressed = signed_call.read(request.POST.get("token", ""), request.user)
        call = pressed.place(request.user)
    except CallRefused as refusal:
        if answers.wants_json(request):
            return answers.refused(request, refusal, back)
        context = {"refusal": refusal, "back": back}
        return render(request, "poketalk/refused.html", context, status=422)
    if answers.wants_json(request):
        return answers.placed(request, call, pressed, back)
    return redirect(call_status.with_way_back(reverse("poketalk:call", args=[call.pk]), back))


@login_required
@never_cache
@require_safe
def call(request: HttpRequest, pk: int) -> HttpResponse:
    """One call's page: its state, its story, a way to end it. Reloads itself while it is open."""
    shown = visible_call(request, pk)
    subjects.load([shown])
    whole = permissions.may_see_numbers(request.user, shown)
    own = shown.user_id == request.user.pk
    return render(
        request,
        "poketalk/call.html",
        {
            "call": shown,
            "log": call_log.steps(shown),
            "from_number": permissions.display_number(shown.from_number, whole),
            "to_number": permissions.display_number(shown.to_number, whole),
            "detail": permissions.display_text(shown.response_detail, whole),
            "ended_because": permissions.display_text(shown.veto_reason, whole),
            "own": own,
            "may_hang_up": permissions.may_hang_up_now(request.user, shown),
            "refresh": call_status.refresh_after(shown),
            "etag": answers.etag(call_status.serialize(shown, request.user)),
            "paused": request.GET.get("refresh") == "off",
            "back": way_back(request),
        },
    )


@login_not_required
@never_cache
@require_safe
def status(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A call's status as JSON (`call_status.serialize`), or 304 while it has not changed.

    Without a login, 401 if the request prefers JSON, or else a redirect to the login page.
    """
    if request.user.is_authenticated:
        return answers.state(request, visible_call(request, pk))
    if answers.wants_json(request):
        return answers.logged_out(way_back(request))
    return redirect_to_login(request.get_full_path())


@post_by_user
def hang_up(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End a call, then show its page, or as JSON how it stands. A call that is over already stays
    as it is.
    """
    shown = visible_call(request, pk)
    if not permissions.may_hang_up(request.user, shown):
        return refuse(request, _("You are not allowed to end this call."))
    requesting.hang_up(shown, request.user)
    if answers.wants_json(request):
        return answers.state(request, shown)
    page = reverse("poketalk:call", args=[shown.pk])
    return redirect(call_status.with_way_back(page, way_back(request)))


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_number(request: HttpRequest) -> HttpResponse:
    """The user's own phone, which is leg A of the calls that the user places."""
    user: Any = request.user  # a stored one, says login_required
    if not permissions.may_place(user):
        raise PermissionDenied
    if request.method == "POST":
        form = OwnNumberForm(request.POST)
        if form.is_valid():
            form.save(user)
            messages.success(request, _("Your phone number was saved."), fail_silently=True)
            return redirect(way_back(request) or reverse("poketalk:own-number"))
    else:
        form = OwnNumberForm(
            initial={"number": permissions.display_number(CallerNumber.of(user), True)}
        )
    return render(request, "poketalk/own_number.html", {"form": form, "back": way_back(request)})


def refuse(request: HttpRequest, sentence: str) -> HttpResponse:
    """403: the project's page for it, or for a script the sentence."""
    if answers.wants_json(request):
        return answers.not_allowed(sentence)
    raise PermissionDenied(sentence)


def visible_call(request: HttpRequest, pk: int) -> CallRequest:
    """The call, or 404, also when there is one that this user may not see."""
    found = get_object_or_404(
        CallRequest.objects.select_related("user", "hangup_requested_by"), pk=pk
    )
    if not permissions.may_see(request.user, found):
        raise Http404
    return found


def way_back(request: HttpRequest) -> str:
    """Where the button was, as the page said in `next`; "" when that leads to another site."""
    claimed = request.POST.get("next") or request.GET.get("next", "")
    here = url_has_allowed_host_and_scheme(
        claimed, {request.get_host()}, require_https=request.is_secure()
    )
    return claimed if here else ""
