"""The dial pad: a page on which users who may do so call any number."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from .. import permissions
from ..button import signed_call
from ..calls import caller_phones, orders, services
from ..calls.throttling import PlaceThrottle, too_many
from ..exceptions import CallRefused, IdempotencyConflict
from ..forms import DialForm
from ..models import CallRequest, Phone
from ..presentation import call_status
from .calls import way_back
from .pages import render

STYLES = ("poketalk/dial.css",)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@sensitive_post_parameters("to_number")
def dial(request: HttpRequest) -> HttpResponse:
    """A form for a number, which `?to=` fills in. Places the call under the same rules as a button,
    and redirects to the call's page. If the call is refused, 422 and the form with the reason. It
    may be that the number is on the blacklist, so requests are throttled as in the API.
    """
    user: Any = request.user
    if not permissions.may_dial(user):
        raise PermissionDenied
    if request.method == "POST" and (refused := too_many(PlaceThrottle, request)):
        return refused
    phones = caller_phones.choice(Phone.objects.for_user(user))
    sent = request.POST if request.method == "POST" else None
    form = DialForm(sent, phones=phones, initial={"to_number": request.GET.get("to", "")})
    region = services.region_for(user, None)
    form.fields["to_number"].region = lambda: region  # type: ignore[attr-defined]
    back, link = way_back(request), None
    if form.is_valid():
        try:
            call = _place(user, form.cleaned_data)
        except CallRefused as refusal:
            field = "to_number" if refusal.field == "to_number" else None
            form.add_error(field, str(refusal))
            link = call_status.way_out(refusal, user, request.get_full_path())
        else:
            page = reverse("poketalk:call", args=[call.pk])
            return redirect(call_status.with_way_back(page, back or reverse("poketalk:dial")))
    context = {
        "form": form,
        "link": link,
        "order": _order(sent, user),
        "keys": "123456789+0",
        "styles": STYLES,
        "back": back,
    }
    status = 422 if form.errors else 200
    return render(request, "poketalk/dial.html", context, status=status)


def _place(user: Any, given: dict[str, Any]) -> CallRequest:
    """The call, or the one that this form has already placed. Raises `CallRefused`."""
    key = signed_call.read(given["order"], user).idempotency_key
    order: orders.UserOrder = {"to_number": given["to_number"]}
    if given.get("phone"):
        order["from_number"] = given["phone"]
    try:
        return orders.place(order, user, key)
    except IdempotencyConflict as error:
        raise CallRefused("order_used", str(DialForm.USED)) from error


def _order(sent: Any, user: Any) -> str:
    """The token of the form's call: that of the form that was sent, while it is valid."""
    try:
        signed_call.read(sent.get("order", "") if sent else "", user)
    except CallRefused:
        return signed_call.sign(signed_call.Button(nonce=signed_call.new_nonce()), user)
    return str(sent["order"])
