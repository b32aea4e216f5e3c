"""The API's URLs: `path("poketalk/api/", include("django_poketalk.api.urls"))`, or elsewhere."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from .calls import CallViewSet
from .numbers import BlacklistViewSet, OwnNumberView

app_name = "poketalk-api"

router = SimpleRouter()
router.register("calls", CallViewSet, "call")
router.register("blacklist", BlacklistViewSet, "blacklisted")

urlpatterns = [*router.urls, path("own-number/", OwnNumberView.as_view(), name="own-number")]
