"""The service's URLs. Included at the root, the API has the path that the seed gives it."""

from __future__ import annotations

from django.urls import include, path

from . import views

app_name = "poketalk_server"

urlpatterns = [
    path("index.php/api/click2call", views.click2call, name="click2call"),
    path("api/", include("django_poketalk.server.api.urls")),
]
