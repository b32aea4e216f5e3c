"""The page *My phones*: which phones a user has, which one rings first, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from .. import permissions
from ..calls import verification
from ..calls.caller_phones import UNVERIFIED
from ..conf import settings
from ..exceptions import VerificationRefused
from ..forms import MyPhoneForm
from ..models import Phone
from ..models.phones import MOST_PHONES, one_change_at_a_time, users_keep_their_own
from ..presentation.call_status import with_way_back
from .calls import way_back
from .pages import page_methods, render

View = Callable[..., HttpResponse]
STYLES = ("poketalk/phones.css",)


def by_user(view: View) -> View:
    """For users who may place calls. 404 if the page is off, or for the phone of another user."""

    @wraps(view)
    def checked(request: HttpRequest, pk: int | None = None) -> HttpResponse:
        if not users_keep_their_own():
            raise Http404
        if not permissions.may_place(request.user):
            raise PermissionDenied
        if pk is None:
            return view(request)
        return view(request, get_object_or_404(Phone, pk=pk, user_id=request.user.pk))

    return login_required(never_cache(checked))


@page_methods
@by_user
def phones(request: HttpRequest) -> HttpResponse:
    """The user's phones, with a form to add one."""
    phone = Phone(user=_user(request))
    form = MyPhoneForm(request.POST if request.method == "POST" else None, instance=phone)
    if _save(request, form):
        return _after_saving(request, phone)
    own = Phone.objects.for_user(request.user)
    return render(
        request,
        "poketalk/phones.html",
        {
            "phones": own,
            "form": form if len(own) < MOST_PHONES else None,
            "verifies": settings.verify_phones is not None,
            "sends_codes": verification.sends_codes(),
            "back": way_back(request),
            "styles": STYLES,
        },
    )


@login_required
@require_safe
def own_number(request: HttpRequest) -> HttpResponse:
    """The former address of the page."""
    return redirect(with_way_back(reverse("poketalk:phones"), way_back(request)))


@page_methods
@by_user
def phone(request: HttpRequest, phone: Phone) -> HttpResponse:
    """One phone, to change its label or number."""
    form = MyPhoneForm(request.POST if request.method == "POST" else None, instance=phone)
    if _save(request, form):
        return _after_saving(request, phone)
    context = {"form": form, "phone": phone, "back": way_back(request), "styles": STYLES}
    return render(request, "poketalk/phone.html", context)


@require_POST
@by_user
def make_default(request: HttpRequest, phone: Phone) -> HttpResponse:
    """Let this phone ring first from now on, unless it has to be verified before."""
    if phone.may_ring:
        phone.make_default()
        messages.success(request, _("This phone rings first from now on."), fail_silently=True)
    else:
        sentence = str(UNVERIFIED) % {"phone": phone.display}
        messages.error(request, sentence, fail_silently=True)
    return _to_phones(request)


@require_POST
@by_user
def remove(request: HttpRequest, phone: Phone) -> HttpResponse:
    """Delete the phone."""
    phone.delete()
    messages.success(request, _("Your phone was removed."), fail_silently=True)
    return _to_phones(request)


@sensitive_post_parameters("code")
@page_methods
@by_user
def verify(request: HttpRequest, phone: Phone) -> HttpResponse:
    """Send a code to the phone (`send`), and enter it (`code`)."""
    if not verification.sends_codes():
        raise Http404
    if phone.is_verified:
        return _to_phones(request)
    error = ""
    if request.method == "POST":
        try:
            if "send" in request.POST:
                verification.send_code(phone)
                messages.success(request, _("The code was sent."), fail_silently=True)
                here = reverse("poketalk:phone-verify", args=[phone.pk])
                return redirect(with_way_back(here, way_back(request)))
            verification.enter_code(phone, request.POST.get("code", ""))
        except VerificationRefused as refusal:
            error = str(refusal)
        else:
            messages.success(request, _("Your phone is verified."), fail_silently=True)
            return HttpResponseRedirect(way_back(request) or reverse("poketalk:phones"))
    return render(
        request,
        "poketalk/phone_verify.html",
        {
            "phone": phone,
            "error": error,
            "was_sent": verification.current_code(phone, timezone.now()) is not None,
            "back": way_back(request),
            "styles": STYLES,
        },
    )


def _user(request: HttpRequest) -> Any:
    return request.user  # not anonymous, because of login_required


def _save(request: HttpRequest, form: MyPhoneForm) -> bool:
    """Save the form's phone, if it was sent and is valid, also in view of what was just saved."""
    if not form.is_bound:
        return False
    with one_change_at_a_time(request.user.pk):
        if not form.is_valid():
            return False
        form.save()
    messages.success(request, _("Your phone was saved."), fail_silently=True)
    return True


def _after_saving(request: HttpRequest, phone: Phone) -> HttpResponse:
    """Back to the page of the button, if the phone can ring."""
    if not phone.may_ring and verification.sends_codes():
        page = reverse("poketalk:phone-verify", args=[phone.pk])
        return redirect(with_way_back(page, way_back(request)))
    if phone.may_ring and way_back(request):
        return HttpResponseRedirect(way_back(request))
    return _to_phones(request)


def _to_phones(request: HttpRequest) -> HttpResponse:
    return redirect(with_way_back(reverse("poketalk:phones"), way_back(request)))
