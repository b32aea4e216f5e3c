"""Every error of the API is a problem (RFC 9457), and no request causes a 500."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from django_poketalk.api import resources
from django_poketalk.api.resources import Resource
from django_poketalk.calls import orders, requesting
from django_poketalk.models import BlacklistedNumber, CallRequest

from ..conftest import CALLEE
from ..people import agent, someone
from .rest_client import BLACKLIST, CALLS, OWN_NUMBER, QUOTE, client, post, problem

pytestmark = pytest.mark.django_db
PAGES = (CALLS, QUOTE, BLACKLIST, OWN_NUMBER, f"{CALLS}1/", f"{BLACKLIST}1/")


def send(asking: Client, body: bytes, content_type: str = "application/json") -> Any:
    return asking.generic("POST", CALLS, body, content_type)


# Authentication


@pytest.mark.parametrize("path", PAGES)
def test_without_credentials_the_response_is_401_with_a_challenge(path: str) -> None:
    for method in ("get", "post", "put", "patch", "delete"):
        response = getattr(Client(), method)(path)
        problem(response, 401, "not_authenticated")
        assert response.headers["WWW-Authenticate"].startswith("Basic")


def test_a_wrong_password_is_401() -> None:
    someone("anna")
    basic = base64.b64encode(b"anna:guess").decode()
    response = Client().get(CALLS, headers={"Authorization": f"Basic {basic}"})

    problem(response, 401, "authentication_failed")
    assert "WWW-Authenticate" in response.headers


def test_a_correct_password_is_accepted() -> None:
    someone("anna")
    basic = base64.b64encode(b"anna:anna").decode()

    assert Client().get(CALLS, headers={"Authorization": f"Basic {basic}"}).status_code == 200


def test_with_only_sessions_a_missing_login_is_403(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resource, "authentication_classes", (SessionAuthentication,))

    problem(Client().get(CALLS), 403, "not_authenticated")


def test_a_session_without_a_csrf_token_is_403() -> None:
    asking = Client(enforce_csrf_checks=True)
    asking.force_login(agent())

    problem(post(asking, CALLS, {"to_number": CALLEE}), 403, "permission_denied")
    assert not CallRequest.objects.exists()


def test_an_inactive_user_is_401() -> None:
    asking = client(agent())
    get_user_model().objects.update(is_active=False)

    problem(asking.get(CALLS), 401, "not_authenticated")


# HTTP


def test_an_unsupported_method_is_405_with_the_allowed_ones() -> None:
    asking = client(agent())

    for method, path in (
        ("delete", CALLS),
        ("put", f"{CALLS}1/"),
        ("get", QUOTE),
        ("options", CALLS),
    ):
        response = getattr(asking, method)(path)
        problem(response, 405, "method_not_allowed")
        allowed = response.headers["Allow"].split(", ")
        assert allowed
        assert method.upper() not in allowed


def test_responses_are_json_only() -> None:
    asking = client(agent())

    problem(asking.get(CALLS, headers={"Accept": "text/html"}), 406, "not_acceptable")
    assert asking.get(CALLS, headers={"Accept": "text/html, */*;q=0.1"}).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x", ""],
)
def test_request_bodies_are_json_only(content_type: str) -> None:
    problem(send(client(agent()), b"to_number=1", content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"to_number": }',
        b"\xff\xfe{}",
        b'{"to_number": "\\ud800"}',
        b'{"max_cost": NaN}',
        b'{"max_cost": -Infinity}',
        b"[" * 8000,
        b"[" * 8000 + b"]" * 8000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"max_duration": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: body[:18].decode("latin-1"),
)
def test_invalid_json_is_an_error(body: bytes) -> None:
    response = send(client(agent()), body)

    assert response.json()["code"] in ("parse_error", "invalid")
    problem(response, 400, response.json()["code"])


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"5", b"true", b'[{"to_number": "1"}]'])
def test_json_that_is_not_an_object_is_an_error(body: bytes) -> None:
    data = problem(send(client(agent()), body), 400, "invalid")

    assert data["errors"]


def test_a_body_that_is_too_large_is_not_read_completely() -> None:
    asking = client(agent())

    problem(send(asking, b'{"a": "' + b"x" * resources.MAX_BODY), 413, "too_large")
    fitting = json.dumps({"to_number": CALLEE}).encode().ljust(resources.MAX_BODY)
    assert send(asking, fitting).status_code == 201


def test_the_position_of_an_error_is_a_json_pointer() -> None:
    asking = client(agent())
    data = problem(post(asking, CALLS, {"subject": {}}), 400, "invalid")

    places = {each["pointer"]: each["code"] for each in data["errors"]}
    assert places == {
        "#/to_number": "required",
        "#/subject/type": "required",
        "#/subject/id": "required",
    }


# Errors of the server


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("gone")])
def test_an_unavailable_database_is_503(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**order: Any) -> None:
        raise error

    asking = client(agent())
    monkeypatch.setattr(requesting, "request_call", fail)
    response = post(asking, CALLS, {"to_number": CALLEE})

    problem(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "5"
    assert "not available" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SuspiciousOperation("odd"), 400, "parse_error"),
        (RequestDataTooBig("big"), 413, "too_large"),
    ],
)
def test_an_error_that_django_handles_is_a_problem(
    error: Exception, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**order: Any) -> None:
        raise error

    asking = client(agent())
    monkeypatch.setattr(requesting, "request_call", fail)

    problem(post(asking, CALLS, {"to_number": CALLEE}), status, code)


def test_an_unexpected_error_is_a_500(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = client(agent())
    monkeypatch.setattr(requesting, "request_call", lambda **order: 1 / 0)

    assert post(asking, CALLS, {"to_number": CALLEE}).status_code == 500


def test_other_views_of_the_project_keep_their_own_errors() -> None:
    class ProjectView(APIView):
        authentication_classes = (BasicAuthentication,)
        permission_classes = (IsAuthenticated,)
        renderer_classes = (JSONRenderer,)

        def get(self, request: Any) -> Response:
            return Response()

    response = ProjectView.as_view()(APIRequestFactory().get("/"))
    response.render()

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/json"


def test_responses_are_not_cached() -> None:
    for response in (client(agent()).get(CALLS), Client().get(CALLS)):
        assert "no-store" in response.headers["Cache-Control"]


# Any request

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.sampled_from(["\x00", "\ud800", "٣", "1E+999999", "9" * 400, "1_0", CALLEE, "+4420", "to"])
    | st.datetimes().map(str)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    *("to_number", "from_number", "subject", "max_duration", "max_cost", "not_before"),
    *("expires_at", "number", "is_prefix", "direction", "reason", "until", "type", "id"),
]
BODIES = ANYTHING | st.dictionaries(
    st.sampled_from(FIELDS), ANYTHING | st.fixed_dictionaries({"type": SCALARS, "id": SCALARS})
)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(body=BODIES, where=st.sampled_from(("calls", "quote", "blacklist", "own-number", "patch")))
def test_no_request_causes_a_500(body: Any, where: str, somebody: Any) -> None:
    cache.clear()
    asking, entry = somebody
    sent = json.dumps(body).encode()
    method, path = {
        "calls": ("POST", CALLS),
        "quote": ("POST", QUOTE),
        "blacklist": ("POST", BLACKLIST),
        "own-number": ("PUT", OWN_NUMBER),
        "patch": ("PATCH", f"{BLACKLIST}{entry}/"),
    }[where]
    response = asking.generic(method, path, sent, "application/json")

    if response.status_code >= 400:
        problem(response, response.status_code, response.json()["code"])
        assert response.status_code in (400, 403, 413, 422)
    else:
        assert response.status_code in (200, 201)


@pytest.fixture
def somebody() -> tuple[Client, int]:
    everything = get_user_model().objects.create_superuser("root")
    entry = BlacklistedNumber.objects.create(number="+442079460777")
    return client(everything), entry.pk


@pytest.mark.django_db(transaction=True)
def test_a_failed_request_saves_nothing(monkeypatch: pytest.MonkeyPatch, new_call: Any) -> None:
    def fail(*_arguments: Any) -> None:
        new_call()
        raise OperationalError("gone")

    asking = client(agent())
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(orders, "place", fail)

    problem(post(asking, CALLS, {"to_number": CALLEE}), 503, "unavailable")
    assert not CallRequest.objects.exists()
