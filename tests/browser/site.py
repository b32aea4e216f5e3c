"""The site that the browser visits: a contact's page with a call button, and a policy on all pages
under which nothing inline runs or applies.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path

from tests.crm.admin_site import urlpatterns as usual
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


def strict(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that puts the policy on every page."""

    def with_policy(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # The admin's own scripts know no trusted types.
        admin = request.path.startswith(("/admin/", "/crm/"))
        response.headers["Content-Security-Policy"] = ADMIN_POLICY if admin else POLICY
        return response

    return with_policy


def contact(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "crm/contact.html", {"contact": get_object_or_404(Contact, pk=pk)})


def marked(request: HttpRequest, pk: int) -> HttpResponse:
    """The contact's card, with a button for the number in its text, inside a form of its own."""
    return render(request, "crm/card.html", {"contact": get_object_or_404(Contact, pk=pk)})


@login_not_required
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for one on their own account."""
    return HttpResponse(status=204)


urlpatterns = [
    path("contacts/<int:pk>/", contact, name="contact"),
    path("cards/<int:pk>/", marked, name="card"),
    path("favicon.ico", favicon),
    *usual,
]
