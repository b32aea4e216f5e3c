"""Several services in the admin, the API and the reports: displayed, filtered, and counted."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from django_poketalk.models import CallRequest
from django_poketalk.models.indexes import IS_OF_ANOTHER_SERVICE

from ..api.rest_client import CALLS as API
from ..api.rest_client import client
from ..people import page, someone, staff
from .test_call_list import CALLS, cells
from .test_reports import REPORTS

pytestmark = pytest.mark.django_db
NewCall = Callable[..., CallRequest]


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest")


@pytest.fixture
def two_calls(poketalk: Callable[..., None], new_call: NewCall) -> tuple[CallRequest, CallRequest]:
    """A call of the default service, and one of acme."""
    backend = {"BACKEND": "django_poketalk.backends.locmem.LocmemBackend"}
    poketalk(SERVICES={"acme": backend}, SERVICE_FOR=f"{__name__}.everything")
    calls = new_call(), new_call(to_number="+442079460124")
    CallRequest.objects.filter(pk=calls[1].pk).update(service="acme")
    return calls


def everything(call: CallRequest) -> str:
    return "default"


def test_the_list_has_a_column_and_a_filter(watcher: Client, two_calls: Any) -> None:
    assert [row["service"] for row in cells(page(watcher.get(CALLS)))] == ["acme", "default"]

    for alias in ("acme", "default"):
        filtered = page(watcher.get(CALLS, {"service": alias}))
        assert [row["service"] for row in cells(filtered)] == [alias]
        assert f'href="?service={alias}"' in filtered


def test_with_one_service_neither_is_there(watcher: Client, new_call: NewCall) -> None:
    call = new_call()

    html = page(watcher.get(CALLS))

    assert "outcome" in cells(html)[0]
    assert "service" not in cells(html)[0]
    assert "?service=" not in html
    assert "<dt>Service</dt>" not in page(watcher.get(f"{CALLS}{call.pk}/change/"))
    assert 'value="service"' not in page(watcher.get(REPORTS))


def test_the_page_of_a_call_names_its_service(watcher: Client, two_calls: Any) -> None:
    html = page(watcher.get(f"{CALLS}{two_calls[1].pk}/change/"))

    assert "Service" in html
    assert "acme" in html


def test_the_exported_file_has_the_service(two_calls: Any) -> None:
    boss = staff("boss", is_superuser=True)
    chosen = {"action": "export_csv", "_selected_action": [two_calls[1].pk]}

    response = boss.post(CALLS, chosen)
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    [row] = csv.DictReader(io.StringIO(text))

    assert row["Service"] == "acme"


def test_a_report_counts_the_calls_of_each_service(watcher: Client, two_calls: Any) -> None:
    html = page(watcher.get(REPORTS, {"by": "service"}))
    assert "Calls by service" in html
    assert "service=acme" in html

    response = watcher.get(REPORTS, {"by": "service", "format": "csv"})
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["service"], row["calls"]) for row in rows] == [
        ("acme", "1"),
        ("default", "1"),
        ("all", "2"),
    ]


def test_the_api_displays_and_filters_the_service(two_calls: Any) -> None:
    boss = client(someone("boss", "view_callrequest"))

    assert boss.get(f"{API}{two_calls[1].pk}/").json()["service"] == "acme"
    for alias, call in zip(("default", "acme"), two_calls, strict=True):
        [found] = boss.get(API, {"service": alias}).json()["results"]
        assert (found["id"], found["service"]) == (call.pk, alias)
    assert boss.get(API, {"service": "nowhere"}).json()["results"] == []


@pytest.mark.skipif(connection.vendor == "mysql", reason="MariaDB has no partial indexes")
def test_a_rare_service_is_found_by_its_index(two_calls: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    rare = CallRequest.objects.filter(service="acme").filter(IS_OF_ANOTHER_SERVICE)

    assert "poketalk_service" in rare.order_by("-id").explain()
