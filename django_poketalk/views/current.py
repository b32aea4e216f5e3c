"""What pages ask for while they are open: the user's open calls, and the calls about an object."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..button import call_bar, call_history
from ..shared.etags import weak_etag
from . import answers
from .calls import way_back


@login_not_required
@never_cache
@require_safe
def current(request: HttpRequest) -> HttpResponseBase:
    """The user's open calls as JSON, or 304 while nothing but their clocks has changed. Each has
    the keys of `call_status.serialize_with_links`. 401 without a login.
    """
    if not request.user.is_authenticated:
        return answers.logged_out(way_back(request))
    calls = call_bar.open_calls(request, way_back(request))
    tag = weak_etag([answers.etag(call) for call in calls])
    response = JsonResponse({"calls": calls}, headers={"ETag": tag})
    return get_conditional_response(request, etag=tag, response=response) or response


@login_not_required
@never_cache
@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """The table of `{% call_history %}` that has this signed `list`. 401 without a login."""
    if not request.user.is_authenticated:
        return answers.logged_out(way_back(request))
    try:
        listed = call_history.read(request.GET.get("list", ""))
    except signing.BadSignature as error:
        raise Http404 from error
    context = call_history.context(request.user, listed, way_back(request))
    return render(request, "poketalk/call_history_table.html", context)
