"""The site under test: pages with call buttons, and a Content Security Policy that forbids inline
scripts and styles.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path

from tests.crm.admin_site import urlpatterns as crm_urlpatterns
from tests.crm.models import Contact

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
ADMIN_POLICY = POLICY.removesuffix("; require-trusted-types-for 'script'")


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that adds the policy to every response."""

    def with_policy(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # The admin's own scripts do not support trusted types.
        admin = request.path.startswith(("/admin/", "/crm/"))
        response.headers["Content-Security-Policy"] = ADMIN_POLICY if admin else POLICY
        return response

    return with_policy


def contact(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "crm/contact.html", {"contact": get_object_or_404(Contact, pk=pk)})


def desk(request: HttpRequest, pk: int) -> HttpResponse:
    """A page with the bar, a call button and the calls about the contact."""
    return render(request, "crm/desk.html", {"contact": get_object_or_404(Contact, pk=pk)})


def card(request: HttpRequest, pk: int) -> HttpResponse:
    """A page with a call button beside the phone number in its text, inside another form."""
    return render(request, "crm/card.html", {"contact": get_object_or_404(Contact, pk=pk)})


@login_not_required
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers request it on every site."""
    return HttpResponse(status=204)


urlpatterns = [
    path("contacts/<int:pk>/", contact, name="contact"),
    path("desk/<int:pk>/", desk, name="desk"),
    path("cards/<int:pk>/", card, name="card"),
    path("favicon.ico", favicon),
    *crm_urlpatterns,
]
