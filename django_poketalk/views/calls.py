"""The views for users: placing a call, the call's page, and hanging up.

All pages work without JavaScript. The views contain no rules: `calls.orders` and `calls.requesting`
decide whether a call is allowed, `permissions` who may do what, and `presentation` what to display.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings as project
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from .. import permissions
from ..button import signed_call
from ..calls import call_backs, redialing, requesting, subjects
from ..calls.service_extensions import undialed
from ..conf import settings
from ..exceptions import CallRefused
from ..models import CallRequest
from ..models.related_rows import RELATED_ROWS
from ..presentation import call_log, call_status
from . import answers
from .after_call_forms import WrapUpForm
from .pages import render

View = Callable[..., HttpResponseBase]


def post_by_user(view: View) -> View:
    """Allow only POST by a logged-in user. Otherwise, a script gets 401 with a sentence.

    Users whose session has expired return to the page of the button after they log in.
    `login_required` would return to this view, which has no page for GET.
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
    """Place the call of a button, and redirect to the call's page. If the call is refused, 422 and
    a page with the reason. Scripts that prefer JSON get a response of `answers`.
    """
    back = way_back(request)
    if not permissions.may_place(request.user):
        return refuse(request, _("You are not allowed to place calls."))
    try:
        pressed = signed_call.read(request.POST.get("token", ""), request.user)
        call = pressed.place(request.user, request.POST.get("phone", ""))
    except CallRefused as refusal:
        if answers.wants_json(request):
            return answers.refused(request, refusal, back)
        user: Any = request.user
        link = call_status.way_out(refusal, user, back)
        context = {"refusal": refusal, "link": link, "back": back}
        return render(request, "poketalk/refused.html", context, status=422)
    if answers.wants_json(request):
        return answers.placed(request, call, pressed, back)
    return redirect(call_status.with_way_back(reverse("poketalk:call", args=[call.pk]), back))


@login_required
@never_cache
@require_safe
def call(request: HttpRequest, pk: int) -> HttpResponse:
    """A call's page, with its state, its log and a button to hang up. It reloads itself while the
    call is open.
    """
    return page(request, visible_call(request, pk))


def page(
    request: HttpRequest, found: CallRequest, form: WrapUpForm | None = None, status: int = 200
) -> HttpResponse:
    """The page of this call, with the form for its wrap-up as it was sent, if it was."""
    subjects.load([found])
    whole = permissions.may_see_numbers(request.user, found)
    own = found.user_id == request.user.pk
    return render(
        request,
        "poketalk/call.html",
        {
            "call": found,
            "heading": call_status.heading(found),
            "is_scheduled": call_status.waits_for_its_time(found),
            "log": call_log.steps(found),
            "from_number": permissions.display_number(found.from_number, whole),
            "to_number": permissions.display_callee(found, whole),
            "waiting": call_status.waiting(found),
            "ending": call_status.ending(found)
            if found.is_open and found.hangup_requested_at
            else "",
            "undialed": undialed(found) if found.is_open and own else "",
            "detail": permissions.display_text(found.response_detail, whole),
            "ended_because": permissions.display_text(found.veto_reason, whole),
            "own": own,
            **wrap_up_context(request, found, form),
            "may_hang_up": permissions.may_hang_up_now(request.user, found),
            "refresh": call_status.refresh_after(found),
            "etag": answers.etag(call_status.serialize(found, request.user)),
            "paused": form is not None or request.GET.get("refresh") == "off",
            "back": way_back(request),
        },
        status,
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
    """End a call, and redirect to its page, or return its status as JSON. Does nothing if the call
    has already ended.
    """
    found = visible_call(request, pk)
    if not permissions.may_hang_up(request.user, found):
        return refuse(request, _("You are not allowed to end this call."))
    requesting.hang_up(found, request.user)
    if answers.wants_json(request):
        return answers.state(request, found)
    page = reverse("poketalk:call", args=[found.pk])
    return redirect(call_status.with_way_back(page, way_back(request)))


def refuse(request: HttpRequest, sentence: str) -> HttpResponse:
    """403: the project's error page, or the sentence as JSON for a script."""
    if answers.wants_json(request):
        return answers.not_allowed(sentence)
    raise PermissionDenied(sentence)


def wrap_up_context(
    request: HttpRequest, call: CallRequest, form: WrapUpForm | None = None
) -> dict[str, Any]:
    """The wrap-up of a call on its page: what was saved, and the form for those who may write."""
    user: Any = request.user
    may_wrap_up = permissions.may_wrap_up(user, call)
    whole = permissions.may_see_numbers(user, call)
    row, follow_up = call.wrapped_up, call.follow_up
    if form is None and may_wrap_up and call.status is not None:
        form = WrapUpForm(call=call, user=user)
    return {
        "wrap_up": row,
        "note": permissions.display_text(row.note, whole) if row else "",
        "follow_up": follow_up if follow_up and not follow_up.done_at else None,
        "next_call": redialing.next_open(call, user) if form and not call.is_open else None,
        "wrap_up_form": form,
        "retry_after": (settings.retry_after or 0) // 60
        if call_backs.may_try_again(call, user)
        else None,
        "styles": ("poketalk/wrap_up.css",),
    }


def visible_call(request: HttpRequest, pk: int) -> CallRequest:
    """The call. 404 if it does not exist, or if this user may not see it."""
    found = get_object_or_404(
        CallRequest.objects.select_related("user", "hangup_requested_by", *RELATED_ROWS), pk=pk
    )
    if not permissions.may_see(request.user, found):
        raise Http404
    return found


def way_back(request: HttpRequest) -> str:
    """The page of the button, from the parameter `next`. "" if that is a URL of another site."""
    url = request.POST.get("next") or request.GET.get("next", "")
    is_allowed = url_has_allowed_host_and_scheme(
        url, {request.get_host()}, require_https=request.is_secure()
    )
    return url if is_allowed else ""
