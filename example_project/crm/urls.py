"""The CRM's pages, the caller's half of Click-2-Call, and the service's half."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("", include("contacts.urls")),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("poketalk/", include("django_poketalk.urls")),
    path("", include("django_poketalk.server.urls")),
]
