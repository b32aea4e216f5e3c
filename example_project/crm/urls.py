"""The CRM's pages, the caller's side with its REST API, and the service's side."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.i18n import set_language
from rest_framework.authtoken.views import obtain_auth_token


@login_not_required
def favicon(request: HttpRequest) -> HttpResponse:
    """For pages that name no icon, such as the admin's."""
    return redirect(static("contacts/icon.svg"))


urlpatterns = [
    path("", include("contacts.urls")),
    path("favicon.ico", favicon),
    path("language/", login_not_required(set_language), name="set_language"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api-token/", obtain_auth_token, name="api-token"),
    path("poketalk/api/", include("django_poketalk.api.urls")),
    path("poketalk/", include("django_poketalk.urls")),
    path("", include("django_poketalk.server.urls")),
]
