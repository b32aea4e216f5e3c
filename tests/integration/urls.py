"""The URLs of the project."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from .people import views


def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers request it on every site."""
    return HttpResponse(status=204)


urlpatterns = [
    path("", views.contacts, name="contacts"),
    path("contacts/<uuid:pk>/", views.contact, name="contact"),
    path("contacts/<uuid:pk>/card/", views.card, name="card"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("calls/api/", include("django_poketalk.api.urls")),
    path("calls/", include("django_poketalk.urls")),
    path("favicon.ico", favicon),
]
