"""Times that no clock has, in every field and filter of the admin and the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import DateField, DateTimeField

from django_poketalk.models import BlacklistedNumber, CallRequest, Heartbeat
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
ORDINARY = "2998-12-31"  # what the same fields and filters accept, in every zone
ZONES = ["UTC", "Asia/Tokyo", "America/New_York"]
BLACKLIST = "/admin/poketalk/blacklistednumber/"


@pytest.fixture(params=ZONES)
def _zone(request: Any, settings: Any) -> None:
    settings.TIME_ZONE = request.param


def filters() -> Iterator[tuple[str, str, bool]]:
    """The address of the list of each model, and a filter by each of its times, if it has hours."""
    ours = {model for model in admin.site._registry if model._meta.app_label.startswith("poketalk")}
    assert len(ours) > 10
    for model in ours - {Heartbeat, Switch}:  # their pages have no filters
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for field in model._meta.fields:
            if isinstance(field, DateField):
                yield path, f"{field.name}__gte", isinstance(field, DateTimeField)


@pytest.mark.parametrize("moment", DATES + TIMES)
def test_filters_of_every_list_refuse_them(moment: str) -> None:
    boss = staff("boss", is_superuser=True)
    for path, name, _has_hours in filters():
        assert boss.get(path, {name: moment}).status_code == 400, (path, name)


def test_filters_of_every_list_accept_ordinary_ones() -> None:
    boss = staff("boss", is_superuser=True)
    for path, name, has_hours in filters():
        ordinary = f"{ORDINARY}T00:00:00Z" if has_hours else ORDINARY
        assert boss.get(path, {name: ordinary}).status_code == 200, (path, name)


@pytest.mark.parametrize(
    ("lookup", "value"),
    [
        ("year", "99999"),
        ("year", "-1"),
        ("year__gte", "0"),
        ("iso_year", "10000"),
        ("year__in", "2026,99999"),
        ("range", "2026-01-01,9999-12-31T23:59:59-14:00"),
        ("gte", "99991231T235959-1400"),
        ("gte", " 9999-W52-5T23:59:59-14:00"),
    ],
)
def test_filters_refuse_them_in_any_lookup_and_notation(lookup: str, value: str) -> None:
    response = staff("boss", is_superuser=True).get(BLACKLIST, {f"created_at__{lookup}": value})

    assert response.status_code == 400


def test_filters_accept_a_year() -> None:
    boss = staff("boss", is_superuser=True)

    assert boss.get(BLACKLIST, {"created_at__year": "2026"}).status_code == 200
    assert boss.get(BLACKLIST, {"created_at__year__in": "2026,2027"}).status_code == 200


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("day", DATES)
def test_forms_refuse_them(day: str) -> None:
    boss = staff("boss", is_superuser=True)
    until = {"until_0": day, "until_1": "23:59:59", "direction": "to"}

    for path, number in ((f"{BLACKLIST}add/", "number"), (f"{BLACKLIST}add-in-bulk/", "lines")):
        html = page(boss.post(path, {**until, number: CALLEE}))
        assert "The year must be between 2000 and 2999." in html
    assert not BlacklistedNumber.objects.exists()
    boss.post(f"{BLACKLIST}add/", {**until, "until_0": ORDINARY, "number": CALLEE})
    assert BlacklistedNumber.objects.get().until is not None


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("moment", DATES + TIMES)
def test_the_api_refuses_them(moment: str) -> None:
    requester = client(agent("anna", "view_callrequest"))

    for name in ("created_after", "created_before"):
        assert requester.get(CALLS, {name: moment}).status_code == 400
        assert requester.get(CALLS, {name: f"{ORDINARY}T00:00:00Z"}).status_code == 200
    for name in ("not_before", "expires_at"):
        response = post(requester, CALLS, {"to_number": CALLEE, name: moment})
        assert response.status_code == 400
    assert not CallRequest.objects.exists()
    body = {"to_number": CALLEE, "expires_at": f"{ORDINARY}T00:00:00Z"}
    response = post(requester, CALLS, body)
    assert response.status_code == 201, response.content
