"""The URLs of the tests, and what the theme needs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import include, path

from tests.urls import urlpatterns as usual

from ..site import favicon

urlpatterns: list[Any] = [path("favicon.ico", favicon), *usual]
if settings.ADMIN_THEME == "admin_interface":  # for its choice of languages
    urlpatterns.append(path("i18n/", include("django.conf.urls.i18n")))
if settings.ADMIN_THEME == "grappelli":
    urlpatterns.append(path("grappelli/", include("grappelli.urls")))
