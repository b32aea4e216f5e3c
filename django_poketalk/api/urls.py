"""The API's URLs: `path("poketalk/api/", include("django_poketalk.api.urls"))`, or elsewhere."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from .calls import CallViewSet
from .numbers import BlacklistViewSet
from .phones import OwnNumberView, PhoneViewSet

app_name = "poketalk-api"

router = SimpleRouter()
router.register("calls", CallViewSet, "call")
router.register("blacklist", BlacklistViewSet, "blacklisted")
router.register("phones", PhoneViewSet, "phone")

urlpatterns = [*router.urls, path("own-number/", OwnNumberView.as_view(), name="own-number")]
