"""The URLs of the tests, which include both halves as a project would."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("poketalk/api/", include("django_poketalk.api.urls")),
    path("poketalk/", include("django_poketalk.urls")),
    path("", include("django_poketalk.server.urls")),
]
