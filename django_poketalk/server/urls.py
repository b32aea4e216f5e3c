"""The service's URLs. Include them at the root for the API's path in the protocol."""

from __future__ import annotations

from django.urls import include, path

from django_poketalk.shared.installed import require_app

require_app("django_poketalk.server", urls=__name__)  # before the models are imported

from . import views  # noqa: E402

app_name = "poketalk_server"

urlpatterns = [
    path("index.php/api/click2call", views.click2call, name="click2call"),
    path("api/health/", views.health, name="health"),
    path("api/", include("django_poketalk.server.api.urls")),
]
