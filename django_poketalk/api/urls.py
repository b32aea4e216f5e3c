"""The API's URLs: `path("poketalk/api/", include("django_poketalk.api.urls"))`, or elsewhere."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from django_poketalk.shared.installed import require_app

require_app("django_poketalk", urls=__name__)  # before the models are imported

from .blacklist import BlacklistViewSet  # noqa: E402
from .call_backs import CallBackViewSet  # noqa: E402
from .calls import CallViewSet  # noqa: E402
from .phones import OwnNumberView, PhoneViewSet  # noqa: E402

app_name = "poketalk-api"

router = SimpleRouter()
router.register("calls", CallViewSet, "call")
router.register("call-backs", CallBackViewSet, "call-back")
router.register("blacklist", BlacklistViewSet, "blacklisted")
router.register("phones", PhoneViewSet, "phone")

urlpatterns = [*router.urls, path("own-number/", OwnNumberView.as_view(), name="own-number")]
