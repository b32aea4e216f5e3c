"""The service's URLs. Include them at the root for the API's path in the protocol."""

from __future__ import annotations

from django.urls import include, path

from . import views

app_name = "poketalk_server"

urlpatterns = [
    path("index.php/api/click2call", views.click2call, name="click2call"),
    path("api/", include("django_poketalk.server.api.urls")),
]
