"""Times that no clock has, in every field and filter of the admin and the REST API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.core.cache import cache

from django_poketalk.models import BlacklistedNumber, CallRequest
from django_poketalk.server.models import Switch

from ..api.rest_client import CALLS, client, post
from ..conftest import CALLEE
from ..people import agent, page, staff

pytestmark = pytest.mark.django_db

DATES = ["0001-01-01", "9999-12-31"]
TIMES = [
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
]
ZONES = ["UTC", "Asia/Tokyo", "America/New_York"]
BLACKLIST = "/admin/poketalk/blacklistednumber/"


@pytest.fixture(autouse=True)
def _no_earlier_requests() -> None:
    cache.clear()  # of the throttles


@pytest.fixture(params=ZONES)
def _zone(request: Any, settings: Any) -> None:
    settings.TIME_ZONE = request.param


@pytest.mark.parametrize("moment", DATES + TIMES)
def test_filters_of_every_list_refuse_them(moment: str) -> None:
    boss = staff("boss", is_superuser=True)
    ours = {model for model in admin.site._registry if model._meta.app_label.startswith("poketalk")}
    assert len(ours) > 10
    for model in ours - {Switch}:  # its page has no filters
        times = [field.name for field in model._meta.fields if "Date" in type(field).__name__]
        for name in times:
            path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            response = boss.get(path, {f"{name}__gte": moment})
            assert response.status_code == 400, (path, name)


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("day", DATES)
def test_forms_refuse_them(day: str) -> None:
    boss = staff("boss", is_superuser=True)
    until = {"until_0": day, "until_1": "23:59:59", "direction": "to"}

    for path, number in ((f"{BLACKLIST}add/", "number"), (f"{BLACKLIST}add-in-bulk/", "lines")):
        html = page(boss.post(path, {**until, number: CALLEE}))
        assert "The year must be between 2000 and 2999." in html
    assert not BlacklistedNumber.objects.exists()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("moment", DATES + TIMES)
def test_the_api_refuses_them(moment: str) -> None:
    requester = client(agent("anna", "view_callrequest"))

    for name in ("created_after", "created_before"):
        assert requester.get(CALLS, {name: moment}).status_code == 400
    for name in ("not_before", "expires_at"):
        response = post(requester, CALLS, {"to_number": CALLEE, name: moment})
        assert response.status_code == 400
    assert not CallRequest.objects.exists()
