"""The API's responses to any request match its OpenAPI document (schemathesis)."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings

from django_poketalk.models import BlacklistedNumber, CallEvent, Phone

from ..conftest import CALLEE, CALLER
from ..people import agent, connected
from .rest_client import ROOT
from .test_schema import document  # noqa: F401  # a fixture

schemathesis = pytest.importorskip("schemathesis")
openapi_checks = pytest.importorskip("schemathesis.specs.openapi.checks")

# A schema cannot express which digits are a phone number, nor that an invalid page size is ignored.
TOO_SHARP = [
    openapi_checks.positive_data_acceptance,
    openapi_checks.negative_data_rejection,
]
TAKING = [  # something that can be wrong
    *("list_calls", "place_call", "quote_call", "list_blacklist", "add_blacklisted"),
    *("change_blacklisted", "set_own_number", "add_phone", "change_phone"),
]
TELLING = [
    *("retrieve_call", "hang_up_call", "retrieve_blacklisted", "delete_blacklisted"),
    *("get_own_number", "delete_own_number", "list_phones", "delete_phone"),
]
OTHER = "+442079460124"
RIGHT, WRONG = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.fixture
def application() -> Iterator[Any]:
    """The project as a server calls it, but for the connection, which is the test's."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield get_wsgi_application()
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def described(document: Any, application: Any) -> Any:  # noqa: F811
    """The document without authentication, which this test does not cover."""
    known = copy.deepcopy(document)
    known["servers"] = [{"url": ROOT}]
    del known["components"]["securitySchemes"]
    for methods in known["paths"].values():
        for operation in methods.values():
            del operation["security"]
    schema = schemathesis.openapi.from_dict(known)
    schema.app = application
    return schema


@pytest.fixture
def asker(db: None) -> dict[str, str]:
    """The authorization header of a user with all permissions."""
    root = get_user_model().objects.create_superuser("root", password="root")
    Phone.objects.create(user=root, number=CALLER)
    return {"Authorization": f"Basic {base64.b64encode(b'root:root').decode()}"}


@pytest.fixture
def there(asker: Any, new_call: Any) -> dict[str, int]:
    """The primary keys of existing objects, by the beginning of their paths."""
    call = connected(new_call(user=agent()))
    CallEvent.objects.create(call=call, status=7, duration=5, answer=200)
    return {
        "/calls": call.pk,
        "/blacklist": BlacklistedNumber.objects.create(number=CALLEE).pk,
        "/phones": Phone.objects.get(user__username="root").pk,
    }


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, RIGHT) for name in TAKING + TELLING] + [(name, WRONG) for name in TAKING],
)
def test_responses_match_the_openapi_document(
    name: str, mode: Any, described: Any, asker: dict[str, str], there: dict[str, int]
) -> None:
    operation = described.find_operation_by_id(f"poketalk_{name}")
    statuses = set()

    @settings(
        max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answer(case: Any) -> None:
        cache.clear()
        if mode is RIGHT:
            make_right(case, there)
        response = case.call(headers=asker)
        statuses.add(response.status_code)
        case.validate_response(response, excluded_checks=TOO_SHARP)

    answer()

    assert 401 not in statuses
    if mode is RIGHT:
        assert statuses & {200, 201, 204}, statuses


def make_right(case: Any, there: dict[str, int]) -> None:
    """Replace random keys and numbers by existing keys and valid numbers."""
    if case.path_parameters:
        [pk] = [pk for start, pk in there.items() if case.path.startswith(start)]
        case.path_parameters["id"] = pk
    if isinstance(case.body, dict):
        case.body |= {name: OTHER for name in ("number", "to_number") if name in case.body}
        case.body.pop("is_prefix", None)
    if case.query:
        case.query = {name: value for name, value in case.query.items() if name == "open"}
